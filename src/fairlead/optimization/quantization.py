"""Weights and activations as 8-bit integers, which a CPU multiplies four at a time where it multiplied one float."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fairlead.optimization.method import Source
from fairlead.servable.signature import Array, Tensors

__all__ = ["int8_dynamic", "int8_static"]

_LAYERS: Final = ("Conv", "Gemm", "MatMul")
"""Those with weights: most of what lies between costs more in integers, and a softmax loses small probabilities."""
_FOLLOWERS: Final = {"Relu": _LAYERS, "MaxPool": ("Relu",)}
"""What goes with what is directly before it. A Relu vanishes in the range of its layer; a pool after it would lose the
layout of the layer, and take thirty times as long. A pool directly after a layer ONNX Runtime moves by itself."""
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
        op_types_to_quantize=[*_LAYERS, *_FOLLOWERS],
        nodes_to_exclude=_stay_in_floats(onnx.load(source.prepared).graph),
    )


def int8_dynamic(source: Source, target: Path) -> None:
    """Quantise weights ahead, and activations at each call by the range that they have then."""
    from onnxruntime import quantization  # noqa: PLC0415 - imports onnx

    quantization.quantize_dynamic(
        str(source.prepared), str(target), per_channel=True, weight_type=quantization.QuantType.QUInt8
    )


def _stay_in_floats(graph: Any) -> list[str]:
    """The names of the layers that are small, and of what follows no other layer."""
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    in_integers: dict[
        str, str
    ] = {}  # results of operators, which are in the order in which they run: by whose they are
    left: list[str] = []
    for node in graph.node:
        is_layer = node.op_type in _LAYERS
        if not is_layer and node.op_type not in _FOLLOWERS:
            continue
        before = in_integers.get(node.input[0])
        if not _is_small(node, sizes) if is_layer else before in _FOLLOWERS[node.op_type]:
            in_integers[node.output[0]] = node.op_type
        else:
            left.append(node.name)
    return left


def _is_small(layer: Any, sizes: Mapping[str, int]) -> bool:
    """Whether it has few weights, unless it has a group a channel: those are fast in integers at any size."""
    has_groups = any(attribute.name == "group" and attribute.i > 1 for attribute in layer.attribute)
    return sizes.get(layer.input[1], 0) < _LEAST_WEIGHTS and not has_groups


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
