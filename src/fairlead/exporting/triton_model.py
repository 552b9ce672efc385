"""Runs the model.onnx beside it by ONNX Runtime, in Triton's Python backend.

Written by Fairlead, for a Triton without the ONNX Runtime backend: started with --model-config-name=python, in a Python
that has numpy and onnxruntime.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance of the model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the file of the version."""
        config = json.loads(args["model_config"])
        self._can_batch = config["max_batch_size"] > 0
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        path = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self._session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """One answer for each request; those that the dynamic batcher brought together run as one batch."""
        if self._can_batch and len(requests) > 1:
            try:
                return self._run_together(requests)
            except Exception:  # noqa: BLE001, S110 - whichever of them it was, the others are answered below
                pass
        return [self._run_alone(request) for request in requests]

    def _run_alone(self, request: Any) -> Any:
        try:
            return self._response(request, self._run(self._read(request)))
        except Exception as error:  # noqa: BLE001 - the request's own fault, or the model's: told to who asked
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))

    def _run_together(self, requests: list[Any]) -> list[Any]:
        parts = [self._read(request) for request in requests]
        ends = np.cumsum([len(part[self._inputs[0]]) for part in parts])[:-1]
        answers = self._run({name: np.concatenate([part[name] for part in parts]) for name in self._inputs})
        split = {name: np.split(array, ends) for name, array in answers.items()}
        return [
            self._response(request, {name: arrays[index] for name, arrays in split.items()})
            for index, request in enumerate(requests)
        ]

    def _read(self, request: Any) -> dict[str, Any]:
        return {name: _texts(pb_utils.get_input_tensor_by_name(request, name).as_numpy()) for name in self._inputs}

    def _run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))

    def _response(self, request: Any, answers: dict[str, Any]) -> Any:
        wanted = frozenset(request.requested_output_names())
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, _bytes(answers[name])) for name in self._outputs if name in wanted]
        )


def _texts(array: Any) -> Any:
    """What Triton has as bytes, as ONNX Runtime takes it."""
    if array.dtype.kind != "O":
        return array
    return np.array([item.decode() for item in array.flat], object).reshape(array.shape)


def _bytes(array: Any) -> Any:
    """What ONNX Runtime has as texts, as Triton takes it."""
    if array.dtype.kind != "O":
        return array
    return np.array([item.encode() for item in array.flat], object).reshape(array.shape)
