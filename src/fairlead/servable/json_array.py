"""Arrays from JSON values and back, the same in every dialect: nothing is coerced, and every finite number survives."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import orjson

from fairlead.servable.signature import Array, TensorSpec

__all__ = ["LEAF_TYPES", "make_array", "quick_array", "text_of", "write_array"]

LEAF_TYPES: Mapping[str, frozenset[type]] = {
    "f": frozenset({float, int}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "b": frozenset({bool}),
    "O": frozenset({str}),
}
"""By the kind of a numpy dtype, what JSON may hold for it; nothing is coerced."""

_NARROW = frozenset({"float16", "float32"})
"""Dtypes that a number of JSON may be too large for without being an error."""

_NULL = re.compile(rb"null")


def make_array(spec: TensorSpec, leaves: list[Any], shape: tuple[int, ...]) -> Array:
    """An array of the values in `leaves`, which have the type that `spec` wants.

    Raises:
        OverflowError: when an integer is outside the dtype.
    """
    with np.errstate(over="ignore"):  # a number too large for the dtype becomes infinite
        return np.array(leaves, spec.numpy_dtype).reshape(shape)


def quick_array(spec: TensorSpec, values: Any) -> Array | None:
    """`values` as the tensor of `spec`; None unless they are lists of one shape, as deep as it, of its type alone.

    In a column, null is a value that is missing.

    Raises:
        FairleadError: INVALID_ARGUMENT where that has to be there.
    """
    if len(spec.shape) == 1:
        return _made(spec, values, None) if type(values) is list else None  # as tables have, in many columns
    shape: list[int] = []
    for depth in range(len(spec.shape)):
        if depth == 0:
            sizes = {len(values)} if isinstance(values, list) else set()
        else:
            sizes = {*map(len, values)} if {*map(type, values)} == {list} else set()
            values = list(chain.from_iterable(values)) if sizes else values
        if len(sizes) != 1:
            return None
        shape.append(*sizes)
    if not shape:
        return None
    return _made(spec, values, tuple(shape))


def _made(spec: TensorSpec, values: list[Any], shape: tuple[int, ...] | None) -> Array | None:
    """An array of the leaves, in a row where no shape is given; None when one is of another type or too large."""
    kinds = {*map(type, values)}
    if spec.column is not None and type(None) in kinds:
        values = spec.column.fill(spec.name, values, spec.dtype)
        kinds = {*map(type, values)}
    if not kinds <= LEAF_TYPES[spec.numpy_dtype.kind]:
        return None
    try:
        if shape is None and spec.dtype not in _NARROW:
            return np.array(values, spec.numpy_dtype)
        return make_array(spec, values, (len(values),) if shape is None else shape)
    except OverflowError:
        return None


def write_array(array: Array) -> bytes:
    """Numbers or booleans as JSON, in as few digits as give them back; what is not finite as a bare token."""
    text = orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)  # with one axis at least
    if not array.ndim:
        text = text[1:-1]
    return _with_tokens(text, array) if b"null" in text else text


def text_of(value: str | bytes) -> str:
    """A string tensor's element as JSON can hold it; what is not UTF-8 is replaced."""
    return value if isinstance(value, str) else value.decode(errors="replace")


def _with_tokens(text: bytes, array: Array) -> bytes:
    """Put bare tokens where orjson, which writes strict JSON, wrote a null for each value that is not finite."""
    flat = np.ravel(array)
    tokens: Iterator[float] = iter(flat[~np.isfinite(flat)].tolist())
    return _NULL.sub(lambda _: _token(next(tokens)), text)


def _token(value: float) -> bytes:
    return b"NaN" if np.isnan(value) else b"Infinity" if value > 0 else b"-Infinity"
