"""Weights and activations as 8-bit integers, which a CPU multiplies four at a time where it multiplied one float."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fairlead.optimization.method import Source
from fairlead.servable.signature import Array, Tensors

__all__ = ["int8_dynamic", "int8_static"]

_OPERATORS: Final = ("Conv", "Gemm", "MatMul")
"""Those with weights: what lies between them costs more in integers, and a softmax loses its small probabilities."""
_LEAST_WEIGHTS = 4096
"""A layer with fewer takes less time than turning its tensors into integers and back does."""
_CALIBRATION_BATCH = 64


def int8_static(source: Source, target: Path) -> None:
    """Quantise weights for each channel, and activations by the ranges that they have on the calibration rows."""
    import onnx  # noqa: PLC0415 - part of an extra
    from onnxruntime import quantization  # noqa: PLC0415 - imports onnx

    quantization.quantize_static(
        str(source.prepared),
        str(target),
        _reader(source.calibration),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        op_types_to_quantize=list(_OPERATORS),
        nodes_to_exclude=_small_layers(onnx.load(source.prepared).graph),
    )


def int8_dynamic(source: Source, target: Path) -> None:
    """Quantise weights ahead, and activations at each call by the range that they have then."""
    from onnxruntime import quantization  # noqa: PLC0415 - imports onnx

    quantization.quantize_dynamic(
        str(source.prepared), str(target), per_channel=True, weight_type=quantization.QuantType.QUInt8
    )


def _small_layers(graph: Any) -> list[str]:
    """The names of the layers that stay in floats. One that has a group a channel is fast in integers at any size."""
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    return [
        node.name
        for node in graph.node
        if node.op_type in _OPERATORS
        and sizes.get(node.input[1], 0) < _LEAST_WEIGHTS
        and not any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)
    ]


def _reader(rows: Tensors) -> Any:
    """The rows in batches, as ONNX Runtime's calibration asks for them."""
    from onnxruntime.quantization import CalibrationDataReader  # noqa: PLC0415 - imports onnx

    class Reader(CalibrationDataReader):  # type: ignore[misc] # an untyped base class
        def __init__(self) -> None:
            self._batches = _batches(rows)

        def get_next(self) -> dict[str, Array] | None:
            return next(self._batches, None)

    return Reader()


def _batches(rows: Tensors) -> Iterator[dict[str, Array]]:
    count = len(next(iter(rows.values())))
    for start in range(0, count, _CALIBRATION_BATCH):
        yield {name: array[start : start + _CALIBRATION_BATCH] for name, array in rows.items()}
