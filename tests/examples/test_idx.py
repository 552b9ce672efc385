"""The idx reader of the digits example: a file is exactly what its header says, or it is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError

PIXELS = np.arange(3 * 28 * 28).reshape(3, 28, 28).astype(np.uint8)
LABELS = np.array([3, 1, 4], np.uint8)


@pytest.fixture
def reader(part: Callable[[str], ModuleType]) -> Any:
    """The module under test."""
    return part("idx")


def failure(read: Callable[[Path], Any], path: Path, content: bytes) -> FairleadError:
    """The error that reading this content raises."""
    path.write_bytes(content)
    with pytest.raises(FairleadError) as caught:
        read(path)

    assert caught.value.code == Code.DATA_LOSS
    assert path.name in caught.value.message
    return caught.value


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_sound_files_are_read(suffix: str, reader: Any, idx: Any, tmp_path: Path) -> None:
    """Images and labels come back as they were written, from plain and from packed files."""
    pack = gzip.compress if suffix else bytes
    images, labels = tmp_path / f"images{suffix}", tmp_path / f"labels{suffix}"
    images.write_bytes(pack(idx.images(PIXELS)))
    labels.write_bytes(pack(idx.labels(LABELS)))

    assert np.array_equal(reader.read_images(images), PIXELS)
    assert np.array_equal(reader.read_labels(labels), LABELS)


def test_empty_set_is_read(reader: Any, idx: Any, tmp_path: Path) -> None:
    """A file of no images is sound: it is whole, there is only nothing in it."""
    (tmp_path / "images").write_bytes(idx.images(PIXELS[:0]))

    assert reader.read_images(tmp_path / "images").shape == (0, 28, 28)


def test_truncated_file_names_both_sizes(reader: Any, idx: Any, tmp_path: Path) -> None:
    """A file one byte short is refused with the expected and the found number of bytes."""
    message = failure(reader.read_images, tmp_path / "images", idx.images(PIXELS)[:-1]).message

    assert "2,368 bytes expected" in message
    assert "2,367 found" in message


def test_longer_file_is_refused(reader: Any, idx: Any, tmp_path: Path) -> None:
    """A file with a byte too many is no more trusted than one with a byte too few."""
    assert "12 found" in failure(reader.read_labels, tmp_path / "labels", idx.labels(LABELS) + b"\0").message


def test_false_count_is_refused(reader: Any, idx: Any, tmp_path: Path) -> None:
    """A header that claims more or fewer rows than follow is refused, even one that claims billions."""
    for claimed in (2, 4, 2**32 - 1):
        failure(reader.read_images, tmp_path / "images", idx.images(PIXELS, claimed=claimed))


@pytest.mark.parametrize("length", [0, 3, 15])
def test_header_cut_short_is_refused(length: int, reader: Any, idx: Any, tmp_path: Path) -> None:
    """A file that ends inside its header is refused."""
    message = failure(reader.read_images, tmp_path / "images", idx.images(PIXELS)[:length]).message

    assert f"16 bytes of header expected, {length} found" in message


def test_wrong_magic_is_refused(reader: Any, idx: Any, tmp_path: Path) -> None:
    """Labels in the place of images are refused by their magic number."""
    message = failure(reader.read_images, tmp_path / "images", idx.labels(np.zeros(20, np.uint8))).message

    assert "magic 2049; 2051 is expected" in message


def test_other_size_of_images_is_refused(reader: Any, idx: Any, tmp_path: Path) -> None:
    """Images that are not 28 x 28 are refused with their size."""
    assert "8 x 8" in failure(reader.read_images, tmp_path / "images", idx.images(PIXELS[:, :8, :8])).message


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_damaged_gzip_is_refused(damage: str, reader: Any, idx: Any, tmp_path: Path) -> None:
    """A .gz file that was cut, changed or never packed is refused by its name."""
    packed = bytearray(gzip.compress(idx.images(PIXELS)))
    content = {
        "cut": bytes(packed[: len(packed) // 2]),
        "flipped": bytes(packed[:-8]) + bytes([packed[-8] ^ 1]) + bytes(packed[-7:]),
        "plain": idx.images(PIXELS),
    }[damage]

    assert "do not unpack" in failure(reader.read_images, tmp_path / "images.gz", content).message


def test_set_of_files_is_whole_or_absent(reader: Any, tmp_path: Path) -> None:
    """None of the files means that the source is absent; some of them means that it is damaged."""
    assert reader.find_idx(tmp_path, ("one", "two")) == []
    (tmp_path / "one.gz").touch()
    with pytest.raises(FairleadError, match="not two") as caught:
        reader.find_idx(tmp_path, ("one", "two"))

    assert caught.value.code == Code.DATA_LOSS
