"""Examples as bytes, as TensorFlow's `Example` message has them in protobuf's wire format."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fairlead.transport.tfserving.feature import Example, Feature, Kind

__all__ = ["encode_example"]

_LENGTH_DELIMITED = 2
_FIELDS = {Kind.BYTES: 1, Kind.FLOAT: 2, Kind.INT64: 3}
_UINT64 = (1 << 64) - 1


def encode_example(example: Example) -> bytes:
    """`example` as an `Example` message, its features in their own order."""
    entries = (_field(1, _field(1, name.encode()) + _field(2, _feature(feature))) for name, feature in example.items())
    return _field(1, b"".join(entries))


def _feature(feature: Feature) -> bytes:
    """A `Feature` message; numbers are packed."""
    if not feature.values:
        return b""
    if feature.kind is Kind.BYTES:
        values = b"".join(_field(1, bytes(value)) for value in feature.values)
    elif feature.kind is Kind.FLOAT:
        values = _field(1, _floats(feature.values))
    else:
        values = _field(1, b"".join(_varint(int(value) & _UINT64) for value in feature.values))
    return _field(_FIELDS[feature.kind], values)


def _floats(values: Sequence[float]) -> bytes:
    with np.errstate(over="ignore"):  # a number too large for 32 bits becomes infinite
        return np.array(values, "<f4").tobytes()


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value >> 7:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*groups, value))
