"""The short way through the commonest body there is: one object with one key that holds numbers, all in one shape.

One pass over the bytes follows the brackets and commas that the shape asks for and makes the numbers as it goes. What
is not exactly so is left to the careful way, which also words the errors. The short way is short where it is compiled:
the interpreter is faster with `orjson` and lists.
"""

from __future__ import annotations

import functools
import math
from typing import Final

import numpy as np
from librt.strings import BytesWriter, write_f32_le, write_f64_le
from librt.vecs import vec
from mypy_extensions import i64, u8

from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec

__all__ = ["quick_rows", "quick_tensors"]

_IS_COMPILED: Final = not __file__.endswith(".py")
_DTYPES: Final = frozenset({"float32", "float64"})
_LARGEST_ROW: Final = 1_000_000  # numbers; the shape of a larger row is not worth keeping

_TAB: Final = 0x09
_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_SPACE: Final = 0x20
_PLUS: Final = 0x2B
_COMMA: Final = 0x2C
_MINUS: Final = 0x2D
_DOT: Final = 0x2E
_ZERO: Final = 0x30
_NINE: Final = 0x39
_COLON: Final = 0x3A
_OPEN_LIST: Final = 0x5B
_CLOSE_LIST: Final = 0x5D
_E: Final = 0x65
_OPEN_OBJECT: Final = 0x7B
_CLOSE_OBJECT: Final = 0x7D

_MOST_DIGITS: Final = 18  # of which 64 bits hold any
_MOST_EXACT: Final = 1 << 53
_POWERS: Final = vec[float]([10.0**power for power in range(23)])  # all that a double holds exactly
_LAST_POWER: Final = 22
_EXPONENT_DIGITS: Final = 3
_MARGIN: Final = 2.0**-50  # more than the four roundings of a number can be off


def quick_tensors(body: bytes, signature: Signature) -> Tensors | None:
    """The inputs from a body `{"instances": [row, ...]}` for a model of one input; None as in `quick_rows`."""
    if not _IS_COMPILED or len(signature.inputs) != 1:
        return None
    spec = signature.inputs[0]
    array = quick_rows(body, b'"instances"', spec)
    return None if array is None else {spec.name: array}


def quick_rows(body: bytes, key: bytes, spec: TensorSpec) -> Array | None:
    """The tensor of `spec` from a body that is `{key: [row, ...]}`, or None when it must be read the careful way.

    Args:
        body: the JSON text, in UTF-8.
        key: with its quotes.
        spec: a float tensor whose rows have a fixed shape.

    Returns:
        An array of the spec's dtype, [rows, ...]. A number beyond the dtype's range is infinite in it.
    """
    row = _row(spec.dtype, spec.shape)
    start = _start(body, key)
    if not row or start < 0:
        return None
    shape = spec.shape[1:]
    numbers = BytesWriter()
    rows = _read(body, start, row, numbers, dtype=spec.dtype, only_plain=True)
    if rows > 0:
        return np.frombuffer(numbers.getvalue(), f"<f{spec.numpy_dtype.itemsize}").reshape((rows, *shape))
    if rows == 0 or spec.dtype != "float32":
        return None
    numbers = BytesWriter()
    rows = _read(body, start, row, numbers, dtype="float64", only_plain=False)
    array = _single(np.frombuffer(numbers.getvalue(), "<f8")) if rows else None
    return None if array is None else array.reshape((rows, *shape))


@functools.lru_cache(maxsize=64)
def _row(dtype: str, shape: tuple[int, ...]) -> bytes:
    """How a row looks, with a zero for each number; empty when there is no short way for it.

    >>> _row("float32", (-1, 2, 3))
    b'[[0,0,0],[0,0,0]]'
    """
    if dtype not in _DTYPES or shape[:1] != (-1,) or min(shape[1:], default=1) < 1:
        return b""
    return _list(shape[1:]) if math.prod(shape[1:]) <= _LARGEST_ROW else b""


def _list(shape: tuple[int, ...]) -> bytes:
    return b"[" + b",".join([_list(shape[1:])] * shape[0]) + b"]" if shape else b"0"


def _start(body: bytes, key: bytes) -> i64:
    """Where the first row begins; -1 unless the body begins with an object, this key, and a list."""
    position = _expect(body, 0, _OPEN_OBJECT)
    if position < 0:
        return -1
    position = _skip(body, position)
    if not body.startswith(key, position):
        return -1
    position = _expect(body, position + len(key), _COLON)
    return -1 if position < 0 else _expect(body, position, _OPEN_LIST)


def _expect(body: bytes, position: i64, mark: u8) -> i64:
    """The position behind `mark`, which must be next; -1 when it is not."""
    position = _skip(body, position)
    return position + 1 if position < len(body) and body[position] == mark else -1


def _skip(body: bytes, position: i64) -> i64:
    """The position of the next byte that is no space."""
    size: i64 = len(body)
    while position < size:
        byte: u8 = body[position]
        if byte > _SPACE or byte not in (_SPACE, _NEWLINE, _RETURN, _TAB):
            break
        position += 1
    return position


def _read(body: bytes, position: i64, row: bytes, numbers: BytesWriter, *, dtype: str, only_plain: bool) -> i64:  # noqa: C901, PLR0911, PLR0912, PLR0915 - one loop, whose parts would each cost a call for every number
    """Write all rows to `numbers`.

    Args:
        body: the text.
        position: where the first row begins in it.
        row: see `_row`.
        numbers: where they go.
        dtype: float32 or float64.
        only_plain: whether to give up at a number that may be a double's last bit off, or huge.

    Returns:
        How many rows there are; 0 when this is not what is there, -1 when it gave up.
    """
    is_single = dtype == "float32"
    size: i64 = len(body)
    marks: i64 = len(row)
    rows: i64 = 0
    while True:
        mark: i64 = 0
        while mark < marks:
            expected: u8 = row[mark]
            mark += 1
            if position >= size:
                return 0
            byte: u8 = body[position]
            if byte == _SPACE:  # one behind each comma is what most write
                position += 1
                if position < size:
                    byte = body[position]
            if byte <= _SPACE:
                position = _skip(body, position)
                if position >= size:
                    return 0
                byte = body[position]
            if expected != _ZERO:
                if byte != expected:
                    return 0
                position += 1
                continue

            is_negative = byte == _MINUS
            if is_negative:
                position += 1
            first: i64 = position
            value: i64 = 0
            while position < size:
                byte = body[position]
                if byte < _ZERO or byte > _NINE:
                    break
                value = value * 10 + (i64(byte) - _ZERO)
                position += 1
            digits: i64 = position - first
            if digits == 0 or position == size or (digits > 1 and body[first] == _ZERO):
                return 0
            places: i64 = 0
            if byte == _DOT:
                position += 1
                point: i64 = position
                while position < size:
                    byte = body[position]
                    if byte < _ZERO or byte > _NINE:
                        break
                    value = value * 10 + (i64(byte) - _ZERO)
                    position += 1
                places = position - point
                digits += places
                if places == 0 or position == size:
                    return 0
            if digits > _MOST_DIGITS and digits - _leading_zeros(body, first) > _MOST_DIGITS:
                return 0
            if byte | 0x20 == _E:
                position += 1
                exponent, position = _exponent(body, position)
                if position < 0:
                    return 0
                places -= exponent

            if only_plain and (value > _MOST_EXACT or places < 0 or places > _LAST_POWER):
                return -1
            number = float(value)
            if places > 0:
                if places <= _LAST_POWER:
                    number = number / _POWERS[places]
                elif places <= 2 * _LAST_POWER:
                    number = number / _POWERS[_LAST_POWER] / _POWERS[places - _LAST_POWER]
                else:
                    return 0
            elif places < 0:
                if places < -2 * _LAST_POWER:
                    return 0
                if places < -_LAST_POWER:
                    number = number * _POWERS[_LAST_POWER]
                    places += _LAST_POWER
                number = number * _POWERS[-places]
            if is_negative:
                number = -number
            if is_single:
                write_f32_le(numbers, number)
            else:
                write_f64_le(numbers, number)
        rows += 1
        position = _skip(body, position)
        if position >= size:
            return 0
        byte = body[position]
        position += 1
        if byte == _CLOSE_LIST:
            break
        if byte != _COMMA:
            return 0
    position = _expect(body, position, _CLOSE_OBJECT)
    return rows if position >= 0 and _skip(body, position) == size else 0


def _leading_zeros(body: bytes, position: i64) -> i64:
    """How many zeros a number begins with, before and behind its point."""
    zeros: i64 = 0
    while body[position] == _ZERO or body[position] == _DOT:
        zeros += body[position] == _ZERO
        position += 1
    return zeros


def _exponent(body: bytes, position: i64) -> tuple[i64, i64]:
    """The exponent at `position` and where it ends; -1 where none is, or one of more than three digits."""
    size: i64 = len(body)
    sign: i64 = 1
    if position < size and (body[position] == _MINUS or body[position] == _PLUS):
        if body[position] == _MINUS:
            sign = -1
        position += 1
    first: i64 = position
    value: i64 = 0
    while position < size and position - first <= _EXPONENT_DIGITS:
        byte: u8 = body[position]
        if byte < _ZERO or byte > _NINE:
            break
        value = value * 10 + (i64(byte) - _ZERO)
        position += 1
    return (sign * value, position) if 1 <= position - first <= _EXPONENT_DIGITS else (0, -1)


def _single(numbers: Array) -> Array | None:
    """Doubles that may be a little off, as float32; None where that little decides."""
    with np.errstate(over="ignore"):
        least = (numbers * (1 - _MARGIN)).astype(np.float32)
        most = (numbers * (1 + _MARGIN)).astype(np.float32)
    return least if np.array_equal(least, most) else None
