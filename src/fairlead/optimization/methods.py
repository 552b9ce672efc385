"""The methods that `fairlead optimize` tries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fairlead.optimization.method import Method, Source
from fairlead.optimization.quantization import int8_dynamic, int8_static

__all__ = ["METHODS"]


def _graph(source: Source, target: Path) -> None:
    """Fuse and fold ahead what ONNX Runtime otherwise fuses at each load; the numbers stay floats."""
    import onnxruntime  # noqa: PLC0415 - 50 MB that only a process with a model should pay

    options = onnxruntime.SessionOptions()
    # Not all of it: the last level is for one kind of CPU, and is done when the file is loaded.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source.prepared), options, providers=["CPUExecutionProvider"])


def _float16(source: Source, target: Path) -> None:
    """Halve the numbers inside; what goes in and comes out stays as it was."""
    import onnx  # noqa: PLC0415 - part of an extra
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - imports onnx

    onnx.save(convert_float_to_float16(onnx.load(source.prepared), keep_io_types=True), target)


def _no_gpu(providers: Sequence[str]) -> str:
    return "" if {"cuda", "tensorrt"} & {*providers} else "it is for GPUs, and FAIRLEAD_PROVIDERS names none"


METHODS: Final = (
    Method(name="graph", make=_graph),
    Method(name="int8-static", make=int8_static),
    Method(name="int8-dynamic", make=int8_dynamic),
    Method(name="float16", make=_float16, missing=_no_gpu),
)
