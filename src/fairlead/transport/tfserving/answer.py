"""A prediction as TensorFlow Serving's JSON: `predictions`, one element a row, or `outputs`, whole tensors."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np
import orjson

from fairlead.errors import Code, FairleadError
from fairlead.servable.json_array import text_of, write_array
from fairlead.servable.signature import Array
from fairlead.transport.tfserving.result import Classes

__all__ = ["encode_outputs", "encode_predictions", "encode_results"]


def encode_predictions(outputs: Mapping[str, Array]) -> bytes:
    """The answer to `instances`. A single output loses its name.

    Raises:
        FairleadError: INVALID_ARGUMENT when the outputs do not have one row for each instance.
    """
    rows = _rows(outputs)
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return b'{"predictions":%b}' % _tensor(name, array)
    elements = (_object({name: array[index, ...] for name, array in outputs.items()}) for index in range(rows))
    return b'{"predictions":[%b]}' % b",".join(elements)


def encode_outputs(outputs: Mapping[str, Array]) -> bytes:
    """The answer to `inputs`. A single output loses its name."""
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return b'{"outputs":%b}' % _tensor(name, array)
    return b'{"outputs":%b}' % _object(outputs)


def encode_results(result: Classes | Array) -> bytes:
    """The answer to `examples`: for each a list of [label, score] pairs, or one value."""
    if not isinstance(result, Classes):
        return b'{"results":%b}' % write_array(result)
    numbers = iter(write_array(result.scores.ravel())[1:-1].split(b","))
    rows = (b"[%b]" % b",".join(_pair(label, next(numbers)) for label in labels) for labels in result.labels)
    return b'{"results":[%b]}' % b",".join(rows)


def _pair(label: str, number: bytes) -> bytes:
    return b"[%b,%b]" % (orjson.dumps(label), number)


def _rows(outputs: Mapping[str, Array]) -> int:
    """How many rows every output has."""
    rows = -1
    for name, array in outputs.items():
        if array.ndim == 0:
            raise FairleadError(Code.INVALID_ARGUMENT, f"Tensor name: {name} has no shape information ")
        if rows not in (-1, len(array)):
            raise FairleadError(Code.INVALID_ARGUMENT, f"Tensor name: {name} has inconsistent batch size: {len(array)}")
        rows = len(array)
    return rows


def _object(values: Mapping[str, Array]) -> bytes:
    return b"{%b}" % b",".join(orjson.dumps(name) + b":" + _tensor(name, array) for name, array in values.items())


def _tensor(name: str, array: Array) -> bytes:
    if array.dtype.kind in "fiub":
        return write_array(array)
    write = np.vectorize(_base64_of if name.endswith("_bytes") else text_of, otypes=[object])
    return orjson.dumps(write(array).tolist())


def _base64_of(value: str | bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value.encode() if isinstance(value, str) else value).decode()}
