"""Tensors and classes as the Open Inference Protocol describes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import orjson

from fairlead.servable.signature import Array, TensorSpec
from fairlead.transport.v2.binary import from_bytes
from fairlead.transport.v2.datatype import DATATYPES
from fairlead.transport.v2.pages import CLASSES

__all__ = ["read_classes", "read_spec", "read_tensor"]

_DTYPES = MappingProxyType({datatype: dtype for dtype, datatype in DATATYPES.items()})


def read_spec(name: str, datatype: str, shape: Sequence[int]) -> TensorSpec:
    """What a model takes or gives under `name`.

    Raises:
        KeyError: for a datatype that nobody knows.
    """
    return TensorSpec(name=name, dtype=_DTYPES[datatype], shape=tuple(shape))


def read_classes(properties: Mapping[str, str]) -> tuple[str, ...]:
    """The names of a model's classes, which its properties have; none where they do not.

    Raises:
        ValueError: when they are no list.
    """
    return tuple(map(str, orjson.loads(properties.get(CLASSES, "[]"))))


def read_tensor(name: str, datatype: str, shape: Sequence[int], data: memoryview) -> Array:
    """The tensor in `data`, which it shares.

    Raises:
        FairleadError: when `data` is not exactly that.
        KeyError: for a datatype that nobody knows.
    """
    return from_bytes(read_spec(name, datatype, shape), tuple(shape), data)
