"""The short way through the commonest body there is: one object with one key that holds numbers, all in one shape.

simdjson reads the numbers straight into a buffer, ten times as fast as through Python's lists. It flattens whatever
nesting it finds and takes the first of two equal keys, so the body's brackets, commas, colons and quotes are compared
with those of the expected shape first. Anything that is not exactly so is left to the careful way, which also words
the errors.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

import numpy as np
import simdjson

from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec

__all__ = ["quick_rows", "quick_tensors"]

_MARKS = b'[]{},:"'
_NO_MARKS = bytes(code for code in range(256) if code not in _MARKS)
_HEAD, _TAIL = b'{"":[', b"]}"
_QUICK_DTYPES = frozenset({"float32", "float64"})
_LARGEST_ROW = 1_000_000  # numbers; the marks of a larger row are not worth keeping

_local = threading.local()


def quick_tensors(body: bytes, signature: Signature) -> Tensors | None:
    """The inputs from a body `{"instances": [row, ...]}` for a model of one input; None as in `quick_rows`."""
    if len(signature.inputs) != 1:
        return None
    spec = signature.inputs[0]
    array = quick_rows(body, "instances", spec)
    return None if array is None else {spec.name: array}


def quick_rows(body: bytes, key: str, spec: TensorSpec) -> Array | None:
    """The tensor of `spec` from a body that is `{key: [row, ...]}`, or None when it must be read the careful way.

    Args:
        body: the JSON text, in UTF-8.
        key: "instances" or "inputs".
        spec: a float tensor whose rows have a fixed shape.

    Returns:
        An array of the spec's dtype, [rows, ...]. A number beyond the dtype's range is infinite in it.
    """
    rows = _rows(body, spec)
    if not rows:
        return None
    shape = (rows, *spec.shape[1:])
    try:
        numbers = _numbers(body, key, spec.numpy_dtype)
        return numbers.reshape(shape)  # an empty place shows in no mark, but here
    except (KeyError, ValueError, TypeError, RuntimeError):
        return None


def _rows(body: bytes, spec: TensorSpec) -> int:
    """How many rows the body's marks show; 0 when they are not exactly those of rows of this shape."""
    shape = spec.shape
    if spec.dtype not in _QUICK_DTYPES or shape[:1] != (-1,) or min(shape[1:], default=1) < 1:
        return 0
    if math.prod(shape[1:]) > _LARGEST_ROW:
        return 0
    marks = body.translate(None, _NO_MARKS)
    row = _row_marks(shape[1:])
    rows, left = divmod(len(marks) - len(_HEAD) - len(_TAIL) + 1, len(row) + 1)
    if rows < 1 or left or marks != _HEAD + b",".join([row] * rows) + _TAIL:
        return 0
    return rows


@functools.lru_cache(maxsize=64)
def _row_marks(shape: tuple[int, ...]) -> bytes:
    """The brackets and commas of one row.

    >>> _row_marks((2, 3))
    b'[[,,],[,,]]'
    """
    return b"[" + b",".join([_row_marks(shape[1:])] * shape[0]) + b"]" if shape else b""


@np.errstate(over="ignore")
def _numbers(body: bytes, key: str, dtype: np.dtype[Any]) -> Array:
    """The numbers under `key`, flat. They are copied out of the parser's memory, which is used again."""
    parser = getattr(_local, "parser", None)
    if parser is None:
        parser = _local.parser = simdjson.Parser()
    document: Any = parser.parse(body)
    try:
        return np.frombuffer(document[key].as_buffer(of_type="d"), np.float64).astype(dtype)
    finally:
        del document  # the parser takes no other text while one of its documents lives
