"""Tensors as JSON lists: nested any way coming in, flat going out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import orjson

from fairlead.errors import FairleadError
from fairlead.servable.json_array import LEAF_TYPES, make_array, text_of, write_array
from fairlead.servable.signature import Array, TensorSpec
from fairlead.transport.invalid import invalid
from fairlead.transport.json_document import echo
from fairlead.transport.v2.datatype import DATATYPES

__all__ = ["from_values", "to_json"]


def from_values(spec: TensorSpec, shape: tuple[int, ...], values: list[Any]) -> Array:
    """The tensor that `values` hold in row-major order, however they are nested.

    Raises:
        FairleadError: INVALID_ARGUMENT when their number or type is wrong.
    """
    leaves = _flat(values)
    if len(leaves) != math.prod(shape):
        raise invalid(
            f"Unable to parse 'data' of input {spec.name!r}: Shape does not match true shape of 'data' field: "
            f"{list(shape)} takes {math.prod(shape)} values and there are {len(leaves)}"
        )
    if spec.column is not None and None in leaves:
        leaves = spec.column.fill(spec.name, leaves, spec.dtype)
    allowed = LEAF_TYPES[spec.numpy_dtype.kind]
    if not {*map(type, leaves)} <= allowed:
        raise _wrong(spec, next(leaf for leaf in leaves if type(leaf) not in allowed))
    try:
        return make_array(spec, leaves, shape)
    except OverflowError:
        bounds = np.iinfo(spec.numpy_dtype)
        raise _wrong(spec, next(leaf for leaf in leaves if not bounds.min <= leaf <= bounds.max)) from None


def to_json(array: Array) -> bytes:
    """The elements as one flat list."""
    if array.dtype.kind in "fiub":
        return write_array(array.ravel())
    return orjson.dumps(array.ravel().tolist(), default=text_of)


def _flat(values: list[Any]) -> list[Any]:
    while (kinds := {*map(type, values)}) == {list}:
        values = list(chain.from_iterable(values))
    return list(_walk(values)) if list in kinds else values


def _walk(values: list[Any]) -> Iterator[Any]:
    """The leaves of lists that are not of one depth."""
    levels = [iter(values)]
    while levels:
        for item in levels[-1]:
            if isinstance(item, list):
                levels.append(iter(item))
                break
            yield item
        else:
            levels.pop()


def _wrong(spec: TensorSpec, value: Any) -> FairleadError:
    return invalid(f"Unable to parse 'data' of input {spec.name!r}: {echo(value)} is no {DATATYPES[spec.dtype]}")
