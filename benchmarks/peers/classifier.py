"""What every server of the comparison runs: the ONNX file named by MODEL, in a session with one thread."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime


class Classifier:
    """Rows in, probabilities out; each server wraps it in its own way."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self._name = self._session.get_inputs()[0].name

    def __call__(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """One run over all rows, float32."""
        probs: np.ndarray[Any, Any] = self._session.run(["probs"], {self._name: rows})[0]
        return probs
