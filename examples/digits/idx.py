"""The idx files that MNIST comes in, read strictly: a file is exactly what its header says, or it is refused."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["find_idx", "read_images", "read_labels"]

_IMAGES = 2051
_LABELS = 2049
_SIDE = 28


def find_idx(folder: Path, stems: Sequence[str]) -> list[Path]:
    """The files of these names, plain or with `.gz`, in the order of `stems`; none when the folder has none of them.

    Raises:
        FairleadError: DATA_LOSS when the folder has some of them but not all.
    """
    found = [next((path for path in (folder / f"{stem}.gz", folder / stem) if path.is_file()), None) for stem in stems]
    missing = [stem for stem, path in zip(stems, found, strict=True) if path is None]
    if len(missing) == len(stems):
        return []
    if missing:
        raise FairleadError(Code.DATA_LOSS, f"{folder} holds some idx files but not {', '.join(missing)}")
    return [path for path in found if path is not None]


def read_images(path: Path) -> NDArray[np.uint8]:
    """Pixels uint8 [n, 28, 28], 255 is ink.

    Raises:
        FairleadError: DATA_LOSS, naming the file and the expected and found bytes.
    """
    (count, height, width), body = _read(path, magic=_IMAGES, axes=3)
    if count and (height, width) != (_SIDE, _SIDE):
        raise FairleadError(Code.DATA_LOSS, f"{path.name} holds images of {height} x {width}; 28 x 28 are wanted")
    return body.reshape(count, _SIDE, _SIDE)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Labels uint8 [n].

    Raises:
        FairleadError: DATA_LOSS, naming the file and the expected and found bytes.
    """
    return _read(path, magic=_LABELS, axes=1)[1]


def _read(path: Path, *, magic: int, axes: int) -> tuple[tuple[int, ...], NDArray[np.uint8]]:
    data = _unpacked(path)
    header_bytes = 4 + 4 * axes
    if len(data) < header_bytes:
        raise FairleadError(
            Code.DATA_LOSS, f"{path.name} is truncated: {header_bytes} bytes of header expected, {len(data)} found"
        )
    found_magic, *shape = struct.unpack(f">{1 + axes}I", data[:header_bytes])
    if found_magic != magic:
        raise FairleadError(Code.DATA_LOSS, f"{path.name} begins with magic {found_magic}; {magic} is expected")
    expected = header_bytes + math.prod(shape)
    if len(data) != expected:
        raise FairleadError(
            Code.DATA_LOSS, f"{path.name} is damaged: {expected:,} bytes expected by its header, {len(data):,} found"
        )
    return tuple(shape), np.frombuffer(data, np.uint8, offset=header_bytes)


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise FairleadError(
            Code.DATA_LOSS, f"{path.name} is damaged: {len(data):,} bytes that do not unpack ({error})"
        ) from error
