"""Files that are there whole or not at all, and survive the loss of power once they are."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from fairlead.errors import Code, FairleadError

__all__ = ["copy_file", "digest_file", "exclusive", "read_file", "storage_errors", "sync_directory", "write_file"]

_CHUNK = 1 << 20
_MOST_BYTES = 1 << 25
_LOCK_POLL_S = 0.02


def copy_file(source: Path, target: Path) -> str:
    """Copy `source` to the new file `target`, sync it, and return its SHA-256 (hex)."""
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("xb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        _sync(writer.fileno())
    return digest.hexdigest()


def write_file(target: Path, data: bytes) -> None:
    """Replace `target` with `data` in one step: a reader sees the old bytes or the new, never a part.

    A link that somebody laid where the new bytes are written first is not followed.
    """
    beside = target.with_name(f".{target.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with open(descriptor, "wb") as writer:  # noqa: PTH123 - a descriptor has no path
        writer.write(data)
        writer.flush()
        _sync(writer.fileno())
    beside.replace(target)
    sync_directory(target.parent)


def read_file(path: Path) -> bytes:
    """A small regular file, such as a manifest.

    Raises:
        FairleadError: DATA_LOSS for a link, a device, a pipe, or more than 32 MiB.
        OSError: when it cannot be read.
    """
    with _open_regular(path) as reader:
        data = reader.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FairleadError(Code.DATA_LOSS, f"{path} is larger than {_MOST_BYTES:,} bytes")
    return data


def digest_file(path: Path) -> str:
    """The SHA-256 (hex) of a regular file; a link, device or pipe is refused with DATA_LOSS."""
    digest = hashlib.sha256()
    with _open_regular(path) as reader:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _open_regular(path: Path) -> BinaryIO:
    """The file at `path`, open to be read; nobody waits for the other end of a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FairleadError(Code.DATA_LOSS, f"{path} is a link") from error
        raise
    reader = open(descriptor, "rb")  # noqa: PTH123, SIM115 - a descriptor has no path, and the caller closes it
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        reader.close()
        raise FairleadError(Code.DATA_LOSS, f"{path} is not a regular file")
    return reader


def sync_directory(path: Path) -> None:
    """Make the names in `path` survive the loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(path: Path, timeout_s: float = 30.0) -> Iterator[None]:
    """Hold the lock file `path`; the kernel lets go of it when the process dies, however it dies.

    Raises:
        FairleadError: ABORTED when somebody else holds it for `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise FairleadError(
                    Code.ABORTED,
                    f"another writer has held {path} for {timeout_s:g} s",
                    hint="wait for it to end, then try again",
                )
            time.sleep(_LOCK_POLL_S)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turn the operating system's refusals into errors that name what was being done."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise FairleadError(
            Code.RESOURCE_EXHAUSTED if full else Code.FAILED_PRECONDITION,
            f"{doing} failed: {error}",
            hint="fairlead doctor",
        ) from error


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(descriptor: int) -> None:
    # Never retried: after a failed fsync the kernel may drop the data and call the next one a success.
    os.fsync(descriptor)
