"""Triton's Python backend: the requests that its dynamic batcher gathered run as one batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from benchmarks.peers.classifier import Classifier


class TritonPythonModel:
    """One model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the session."""
        del args
        self._classify = Classifier()

    def execute(self, requests: list[Any]) -> list[Any]:
        """One answer for each request."""
        inputs = [pb_utils.get_input_tensor_by_name(request, "image").as_numpy() for request in requests]
        ends = np.cumsum([len(rows) for rows in inputs])
        parts = np.split(self._classify(np.concatenate(inputs)), ends[:-1])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("probs", part)]) for part in parts]
