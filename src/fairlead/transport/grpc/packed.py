"""Lists of numbers in messages, taken whole instead of one by one."""

from __future__ import annotations

import numpy as np

from fairlead.servable.signature import Array
from fairlead.transport.grpc.messages import Message

__all__ = ["packed_field", "take_packed"]

_LENGTH_DELIMITED = 2


def take_packed(message: Message, field: str, dtype: str) -> Array:
    """The values of a repeated float, double or bool field, which is all that is left of `message` afterwards.

    A packed list is its values' bytes one after the other behind a short head. To write the message again and look at
    its end takes 1 us for 784 floats; to make Python's floats of them takes 25.

    Args:
        message: a message that nobody needs any more.
        field: a repeated float, double or bool.
        dtype: what numpy calls one such value.
    """
    count = len(getattr(message, field))
    if not count:
        return np.empty(0, dtype)
    for other, _ in message.ListFields():
        if other.name != field:
            message.ClearField(other.name)
    message.DiscardUnknownFields()
    little = np.dtype(dtype).newbyteorder("<")
    data = message.SerializeToString()
    values = np.frombuffer(data, little, count, len(data) - count * little.itemsize)
    return np.require(values, dtype, "A")


def packed_field(number: int, values: Array) -> bytes:
    """A message with nothing but the packed list `values`, for `MergeFromString`: of floats, doubles or bools."""
    data = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
