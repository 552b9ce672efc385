"""The Open Inference Protocol's names for the types of tensors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from fairlead.servable.signature import Array

__all__ = ["BYTES", "DATATYPES", "datatype_of"]

BYTES = "BYTES"

DATATYPES: Mapping[str, str] = MappingProxyType(
    {"bool": "BOOL", "string": BYTES}
    | {f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)}
    | {f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
"""By the dtype of a TensorSpec."""


def datatype_of(array: Array) -> str:
    """What the protocol calls the type of `array`."""
    return _named(array.dtype)


@functools.lru_cache(maxsize=64)  # numpy spells a name anew each time
def _named(dtype: np.dtype[Any]) -> str:
    return DATATYPES.get(dtype.name, BYTES)
