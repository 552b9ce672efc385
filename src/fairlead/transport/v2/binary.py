"""Tensors as plain bytes behind the JSON: little-endian, row by row; strings with their lengths before them."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from typing import Final

import numpy as np

from fairlead.servable.signature import Array, TensorSpec
from fairlead.transport.invalid import invalid

__all__ = ["BinaryTail", "from_bytes", "text_of", "to_bytes"]

_LENGTH = struct.Struct("<I")
_IS_BIG_ENDIAN: Final = sys.byteorder == "big"


class BinaryTail:
    """The bytes behind the JSON, handed out front to back without a copy."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = memoryview(data)
        self._next = start

    def take(self, name: str, size: int) -> memoryview:
        """The next `size` bytes, for the input of that name.

        Raises:
            FairleadError: INVALID_ARGUMENT when fewer are left.
        """
        start, self._next = self._next, self._next + size
        if self._next > len(self._data):
            missing = self._next - len(self._data)
            raise invalid(f"unexpected size for input {name[:80]!r}, expecting {missing} additional bytes")
        return self._data[start : self._next]

    def finish(self) -> None:
        """Raise INVALID_ARGUMENT when any are left."""
        if rest := len(self._data) - self._next:
            raise invalid(f"unexpected additional input data: {rest} bytes that no input claims")


def from_bytes(spec: TensorSpec, shape: tuple[int, ...], data: memoryview) -> Array:
    """The tensor in `data`, which an aligned array shares and which is therefore not to be written to.

    Raises:
        FairleadError: INVALID_ARGUMENT when `data` does not hold exactly such a tensor.
    """
    if spec.dtype == "string":
        return _strings(spec.name, shape, data)
    dtype = spec.numpy_dtype
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise invalid(
            f"input byte size mismatch for input {spec.name!r}: shape {list(shape)} takes "
            f"{math.prod(shape) * dtype.itemsize} bytes and there are {len(data)}"
        )
    if dtype.kind == "b":
        _check_flags(spec.name, np.frombuffer(data, np.uint8))
    array = np.frombuffer(data, dtype).reshape(shape)
    if _IS_BIG_ENDIAN:
        array = array.byteswap()
    return array if array.flags.aligned else array.copy()


def to_bytes(array: Array) -> bytes:
    """What `from_bytes` reads."""
    if array.dtype.kind in "fiub":
        return (array.byteswap() if array.dtype.isnative == _IS_BIG_ENDIAN else array).tobytes()
    return b"".join(_with_length(item) for item in array.ravel().tolist())


def _check_flags(name: str, data: Array) -> None:
    if data.size and data.max() > 1:
        raise invalid(f"input {name!r} is BOOL and holds the byte {data.max()}, which is neither 0 nor 1")


def _strings(name: str, shape: tuple[int, ...], data: memoryview) -> Array:
    count = math.prod(shape)
    if len(data) < count * _LENGTH.size:
        raise invalid(f"input {name!r} is BYTES: {count} elements do not fit into {len(data)} bytes")
    texts = [text_of(element) for element in _elements(name, count, data)]
    return np.array(texts, object).reshape(shape)


def _elements(name: str, count: int, data: memoryview) -> Iterator[memoryview]:
    """Exactly `count` elements, which must fill `data`."""
    start = 0
    for index in range(count):
        body = start + _LENGTH.size
        end = body + _LENGTH.unpack_from(data, start)[0] if body <= len(data) else body
        if end > len(data):
            raise invalid(f"input {name!r} is BYTES: element {index} ends {end - len(data)} bytes behind the data")
        yield data[body:end]
        start = end
    if start != len(data):
        raise invalid(f"input {name!r} is BYTES: {len(data) - start} bytes are left behind its {count} elements")


def text_of(data: memoryview | bytes) -> str | bytes:
    """Text where the bytes are UTF-8; some models take other bytes as well, and refuse them where they do not."""
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        return bytes(data)


def _with_length(item: str | bytes) -> bytes:
    data = item.encode() if isinstance(item, str) else item
    return _LENGTH.pack(len(data)) + data
