"""TensorFlow's files of records: for each its length and its bytes, both under a CRC-32C."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["crc32c", "read_records"]

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_POLYNOMIAL = np.uint32(0x82F63B78)
_ONES = 0xFFFFFFFF
_BEGINNING = bytes.fromhex("54641f64")
"""After these bytes a register that began with zeros is all ones, as that of a checksum begins."""

_BLOCK = 1024
_BLOCKS_AT_ONCE = 256


def read_records(path: Path) -> Iterator[bytes]:
    """The records of the file, one after the other.

    Raises:
        FairleadError: DATA_LOSS when a checksum is wrong or the file ends within a record.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        while file.tell() < size:
            (length,) = _LENGTH.unpack(_read(path, file, size, _LENGTH.size))
            yield _read(path, file, size, length)


def crc32c(data: bytes) -> int:
    """The checksum.

    It is linear: the sum, without carry, of what each byte gives in its place. So the bytes of a block are looked up in
    a table all at once, twenty times as fast as in a loop over them.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    table = _table()
    places = np.arange(_BLOCK)[::-1]
    blocks = _blocks(data)
    crc = 0
    for first in range(0, len(blocks), _BLOCKS_AT_ONCE):
        sums = np.bitwise_xor.reduce(table[places, blocks[first : first + _BLOCKS_AT_ONCE]], axis=1)
        for block in sums.tolist():
            # What was before counts as if it had been added to this block's first four bytes.
            crc = block ^ int(np.bitwise_xor.reduce(table[places[:4], list(crc.to_bytes(4, "little"))]))
    return crc ^ _ONES


def _read(path: Path, file: BinaryIO, size: int, length: int) -> bytes:
    """The next `length` bytes, proven by the checksum behind them."""
    if length + _CHECKSUM.size > size - file.tell():
        raise _damaged(path, f"it ends within a record of {length} bytes")
    data = file.read(length)
    (expected,) = _CHECKSUM.unpack(file.read(_CHECKSUM.size))
    if _mask(crc32c(data)) != expected:
        raise _damaged(path, f"the checksum of {length} bytes before byte {file.tell()} is wrong")
    return data


def _mask(crc: int) -> int:
    """The checksum as it is stored: a checksum of bytes with checksums in them would be a weak one."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & _ONES


def _damaged(path: Path, reason: str) -> FairleadError:
    return FairleadError(
        Code.DATA_LOSS,
        f"{path} is no whole TFRecord file: {reason}",
        hint="write it with tf.io.TFRecordWriter, without compression",
    )


def _blocks(data: bytes) -> NDArray[np.uint8]:
    """The bytes in rows, with zeros before them, which change nothing."""
    begun = _BEGINNING + data
    padded = np.zeros(-(-len(begun) // _BLOCK) * _BLOCK, np.uint8)
    padded[len(padded) - len(begun) :] = np.frombuffer(begun, np.uint8)
    return padded.reshape(-1, _BLOCK)


@functools.cache
def _table() -> NDArray[np.uint32]:
    """What a byte gives, by how many bytes are behind it and its value: [places, 256]."""
    table = np.empty((_BLOCK, 256), np.uint32)
    table[0] = np.arange(256)
    for _ in range(8):
        table[0] = np.where(table[0] & 1, table[0] >> 1 ^ _POLYNOMIAL, table[0] >> 1)
    for place in range(1, _BLOCK):
        before = table[place - 1]
        table[place] = table[0][before & 0xFF] ^ before >> 8
    return table
