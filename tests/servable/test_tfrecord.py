"""TFRecord files: what TensorFlow wrote is read, and no damage goes unnoticed."""

from __future__ import annotations

import doctest
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fairlead.servable.tfrecord
from fairlead.errors import Code, FairleadError
from fairlead.servable.tfrecord import crc32c, read_records

RECORDS = [b"first", b"", b"x" * 5000]


def framed(record: bytes) -> bytes:
    """A record as it stands in a file."""

    def masked(data: bytes) -> bytes:
        crc = crc32c(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(record))
    return length + masked(length) + record + masked(record)


def bit_by_bit(data: bytes) -> int:
    """The checksum by its definition."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@given(data=st.binary(max_size=3000))
def test_the_checksum_is_the_one_of_the_definition(data: bytes) -> None:
    """For any bytes, from none on."""
    assert crc32c(data) == bit_by_bit(data)


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_the_checksums_of_the_standard(data: bytes, crc: int) -> None:
    """RFC 3720, appendix B.4."""
    assert crc32c(data) == crc


def test_the_example_is_true() -> None:
    """In the docstring."""
    assert doctest.testmod(fairlead.servable.tfrecord).failed == 0


def test_what_tensorflow_writes_is_read(tmp_path: Path) -> None:
    """In order, the empty record too."""
    import tensorflow as tf

    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in RECORDS:
            writer.write(record)

    assert list(read_records(path)) == RECORDS
    assert path.read_bytes() == b"".join(map(framed, RECORDS))


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    """It is whole."""
    (tmp_path / "records").touch()

    assert list(read_records(tmp_path / "records")) == []


@pytest.mark.parametrize(
    "data",
    [
        framed(b"first")[:-1],
        framed(b"first")[:10],
        b"x",
        b"text, and long enough to be read as a length",
        struct.pack("<Q", 2**62) + framed(b"")[8:],
        framed(b"first").replace(b"first", b"frist"),
        framed(b"first") + framed(b"next")[:-4] + b"\0\0\0\0",
        b"\xff" * 100,
    ],
)
def test_damage_is_data_loss(tmp_path: Path, data: bytes) -> None:
    """Whatever is missing or other than it was; nothing is allocated for a length that lies."""
    (tmp_path / "records").write_bytes(data)
    with pytest.raises(FairleadError, match="records is no whole TFRecord file: ") as caught:
        list(read_records(tmp_path / "records"))

    assert caught.value.code is Code.DATA_LOSS
