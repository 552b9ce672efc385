"""What may lie in a version's directory: regular files of its own, none of which is code.

Nothing here is a boundary by itself: the boundary is that no process of the server's unpickles, imports or links a file
of a version; a model in Python is, where it is allowed, and in a process of its own.
A file that asks for it is told of before somebody else's tool does.
"""

from __future__ import annotations

import bz2
import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from fairlead.errors import Code, FairleadError
from fairlead.store.files import storage_errors

__all__ = ["check_contents"]

_HEAD_BYTES = 4096
_PEEK_BYTES = 512
_MOST_MEMBERS = 10_000
_LZMA_BYTES = 2**26
_PICKLE_PROTOCOLS = (2, 3, 4, 5)
_UNPACK: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", lambda head: zlib.decompressobj(31).decompress(head, _PEEK_BYTES)),
    (b"\x78", lambda head: zlib.decompressobj().decompress(head, _PEEK_BYTES)),
    (b"BZh", lambda head: bz2.BZ2Decompressor().decompress(head, _PEEK_BYTES)),
    (b"\xfd7zXZ", lambda head: lzma.LZMADecompressor(memlimit=_LZMA_BYTES).decompress(head, _PEEK_BYTES)),
)
"""How what begins with these bytes is unpacked, a little of it: joblib writes pickles so."""


def check_contents(directory: Path, roots: Sequence[Path] = (), *, may_be_code: bool = False) -> None:
    """Raise unless the version in `directory` consists of regular files of data that are in it.

    Args:
        directory: where the version is, itself in the directory of its model.
        roots: directories that links may lead into besides.
        may_be_code: whether they may be pickles and programs: of a model in Python, which is run as one.

    Raises:
        FairleadError: FAILED_PRECONDITION naming the file and what it is.
    """
    with storage_errors(f"reading {directory}"):
        if not _leads_into(directory, (directory.parent, *roots)):
            raise _refused(directory, "a link that leads out of its model")
        for path in _entries(directory):
            if path.is_symlink():
                if not _leads_into(path, (directory, *roots)):
                    raise _refused(path, "a link that leads out of its version")
                if path.is_dir():
                    continue
            if not stat.S_ISREG(path.stat().st_mode):
                raise _refused(path, "no regular file")
            if not may_be_code and (code := _code_in(path)):
                raise _refused(path, code)


def _leads_into(path: Path, places: Sequence[Path]) -> bool:
    target = Path(os.path.realpath(path))  # unlike Path.resolve it knows what to do with a circle
    return any(target.is_relative_to(os.path.realpath(place)) for place in places)


def _entries(directory: Path) -> Iterator[Path]:
    """Everything under `directory` that is not a directory itself; links are not followed."""
    for where, folders, names in os.walk(directory):
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        yield from (Path(where) / name for name in sorted([*names, *links]))


def _code_in(path: Path) -> str:
    """What code the file holds; empty for data."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(_HEAD_BYTES)
        if head.startswith(b"\x7fELF"):
            return "a program or a library"
        file.seek(max(0, size - 1))
        if _is_pickle(head, last=file.read(1)) or _is_packed_pickle(head):
            return "a pickle, which runs code when it is read"
        if head.startswith(b"PK\x03\x04"):
            return _code_in_archive(file)
        return _code_in_array(head)


def _is_pickle(head: bytes, last: bytes) -> bool:
    """Whether the bytes begin and end as Python's pickles have since protocol 2."""
    return len(head) > 1 and head[0] == 0x80 and head[1] in _PICKLE_PROTOCOLS and last == b"."  # noqa: PLR2004


def _is_packed_pickle(head: bytes) -> bool:
    for magic, unpack in _UNPACK:
        if head.startswith(magic):
            try:
                inside = unpack(head)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):
                return False
            return _is_pickle(inside, last=b".")
    return False


def _code_in_array(head: bytes) -> str:
    """Of a file of numpy's: arrays of objects are pickled."""
    if not head.startswith(b"\x93NUMPY"):
        return ""
    header = head[: head.find(b"\n")]
    return "an array of pickled objects" if b"'|O'" in header or b"'O'" in header else ""


def _code_in_archive(file: BinaryIO) -> str:
    """Of a zip archive, as numpy's `.npz` and PyTorch's files are: what its members hold."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                return f"an archive of {len(members):,} files"
            for member in members:
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    return "an archive packed in a way that no tool for models uses"
                with archive.open(member) as reader:
                    head = reader.read(_PEEK_BYTES)
                if _is_pickle(head, last=b".") or _code_in_array(head):
                    return f"an archive with the pickle {member.filename!r} in it"
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, RuntimeError, NotImplementedError):
        return ""  # whoever reads it says what is wrong with it
    return ""


def _refused(path: Path, what: str) -> FairleadError:
    return FairleadError(Code.FAILED_PRECONDITION, f"{path} is refused: it is {what}")
