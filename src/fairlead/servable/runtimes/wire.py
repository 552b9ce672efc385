"""Fields of a protobuf message in a file: no length is believed that the bytes do not bear out, long values stay there.

The file is read and never mapped: one that is cut short while it is read is an error then, not the process's end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["DamagedError", "Span", "Value", "integers", "read_fields", "short"]

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BITS = 64
_HEAD_BYTES = 20
"""At least as long as a field's key and the length that follows it."""
_READ_BYTES = 2**18


class DamagedError(ValueError):
    """The bytes are no protobuf message."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of an open file that are too many to be read at once."""

    descriptor: int
    start: int
    size: int

    def __len__(self) -> int:
        return self.size

    def read(self, at: int, size: int) -> memoryview:
        """The bytes from `at` on, counted from the span's start.

        Raises:
            DamagedError: when the file has become shorter.
        """
        data = os.pread(self.descriptor, size, self.start + at)
        if len(data) < size:
            raise DamagedError("the file ends too early")
        return memoryview(data)


Value = int | memoryview | Span
"""Of a field: an int for a varint; for all else bytes, or where they are when they are many."""


def read_fields(data: memoryview | Span) -> Iterator[tuple[int, Value]]:
    """The number and the value of every field of the message in `data`, in the order of its bytes.

    Raises:
        DamagedError: when a field does not end where the message does.
    """
    if isinstance(data, memoryview):
        return _fields_in_memory(data)
    if len(data) <= _READ_BYTES:
        return _fields_in_memory(data.read(0, len(data)))
    return _fields_in_file(data)


def integers(value: Value) -> Iterator[int]:
    """What a repeated field of whole numbers holds, packed or not; those below zero are such again.

    Raises:
        DamagedError: when there are more than anybody needs, or the last does not end where the field does.
    """
    if isinstance(value, int):
        yield _signed(value)
        return
    data, at = short(value), 0
    while at < len(data):
        number, at = _varint(data, at)
        yield _signed(number)


def short(value: Value) -> memoryview:
    """The bytes of a value that cannot be long.

    Raises:
        DamagedError: when it is, or is a number.
    """
    if not isinstance(value, memoryview):
        raise DamagedError("a number stands for a name" if isinstance(value, int) else "a name is very long")
    return value


def _fields_in_memory(data: memoryview) -> Iterator[tuple[int, Value]]:
    at, end = 0, len(data)
    while at < end:
        number, value, size, at = _head(data, at)
        if size is None:
            yield number, value
            continue
        _check_size(number, size, end - at)
        yield number, data[at : at + size]
        at += size


def _fields_in_file(span: Span) -> Iterator[tuple[int, Value]]:
    """As in memory, a piece of the file at a time."""
    at, end = 0, len(span)
    piece, begins = memoryview(b""), 0
    while at < end:
        if at + _HEAD_BYTES > begins + len(piece) < end:
            piece, begins = span.read(at, min(_READ_BYTES, end - at)), at
        number, value, size, next_at = _head(piece, at - begins)
        at = begins + next_at
        if size is None:
            yield number, value
            continue
        _check_size(number, size, end - at)
        if size > _READ_BYTES:
            yield number, Span(span.descriptor, span.start + at, size)
        else:
            if at + size > begins + len(piece):
                piece, begins = span.read(at, min(_READ_BYTES, end - at)), at
            yield number, piece[at - begins : at - begins + size]
        at += size


def _head(data: memoryview, at: int) -> tuple[int, int, int | None, int]:
    """The number of the field at `at`, its value if it is a varint, else its size in bytes, and where that is read."""
    key, at = _varint(data, at)
    number, kind = key >> 3, key & 7
    if kind == _VARINT:
        value, at = _varint(data, at)
        return number, value, None, at
    if kind == _BYTES:
        size, at = _varint(data, at)
        return number, 0, size, at
    if kind not in _FIXED_SIZES:
        raise DamagedError(f"field {number} is of the kind {kind}, which is none")
    return number, 0, _FIXED_SIZES[kind], at


def _check_size(number: int, size: int, left: int) -> None:
    if size > left:
        raise DamagedError(f"field {number} is {size:,} bytes long, and {left:,} are left")


def _signed(value: int) -> int:
    return value - (1 << _VARINT_BITS) if value >> (_VARINT_BITS - 1) else value


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    try:
        byte = data[at]
        value, shift = byte & 0x7F, 7
        while byte >= 0x80:  # noqa: PLR2004 - the bit that says that more follows
            if shift >= _VARINT_BITS:
                raise DamagedError("a number has more than 64 bits")
            at += 1
            byte = data[at]
            value |= (byte & 0x7F) << shift
            shift += 7
    except IndexError as error:
        raise DamagedError("a number does not end") from error
    return value & ((1 << _VARINT_BITS) - 1), at + 1
