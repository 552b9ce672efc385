"""A spool: numbered files that one process appends to and another takes away, across any crash of either.

What was given to `write` is in the kernel's hands when the call returns, so that a killed process loses nothing;
whoever reads asks for it to be brought to the disk. A file is never written again once the next one has begun, and the
newest is never deleted, so that no number comes twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fairlead.monitoring.position import Position
from fairlead.monitoring.spool_record import Kind, VersionRecord, frames

__all__ = ["FILE_BYTES", "Chunk", "SpoolReader", "SpoolWriter"]

FILE_BYTES = 16 << 20
_RETRY_S = 1.0
_SUFFIX = ".spool"
_log = logging.getLogger(__name__)


class SpoolWriter:
    """Appends to the spool in `directory`, beginning a file of its own. For one thread.

    Nothing is raised when the disk is full or gone: what cannot be written is dropped and counted.

    Args:
        directory: made when it is not there.
        max_bytes: of all files together; the oldest goes when they would be more.
        on_drop: told of bytes that were given up.
        file_bytes: a file's size at which the next one begins.
    """

    def __init__(
        self, directory: Path, *, max_bytes: int, on_drop: Callable[[int], None], file_bytes: int = FILE_BYTES
    ) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._file_bytes = min(file_bytes, max(max_bytes // 4, 1))
        self._on_drop = on_drop
        self._descriptor: int | None = None
        self._size = 0
        self._known: set[int] = set()
        self._retry_at = 0.0

    def write(self, version: VersionRecord, batch: bytes) -> None:
        """Append a record, after that of the version that it names if this file lacks it."""
        if self._size >= self._file_bytes:
            self.close()
        if self._descriptor is None and not self._open():
            self._on_drop(len(batch))
            return
        data = batch if version.number in self._known else version.encode() + batch
        try:
            written = os.write(self._descriptor or 0, data)
        except OSError as error:
            self._fail(error)
            written = 0
        if written == len(data):
            self._size += written
            self._known.add(version.number)
        else:
            self._on_drop(len(batch))
            self.close()  # half a record may stand there: nothing can follow it

    def close(self) -> None:
        """End the file; the next record begins another."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._size = None, 0
        self._known.clear()

    def _open(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._make_room()
            number = max(_numbers(self._directory), default=0) + 1
            path = _path(self._directory, number)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._fail(error)
            return False
        return True

    def _make_room(self) -> None:
        sizes = {number: _size(self._directory, number) for number in _numbers(self._directory)}
        for number in sorted(sizes):
            if sum(sizes.values()) + self._file_bytes <= self._max_bytes:
                return
            _path(self._directory, number).unlink(missing_ok=True)
            self._on_drop(sizes.pop(number))

    def _fail(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + _RETRY_S
        _log.error("predictions are not logged: %s: %s", self._directory, error.strerror)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What was read of a spool.

    Attributes:
        begin, end: what it stands between; the next chunk begins at `end`.
        versions: what the batches' numbers mean.
        batches: contents of records.
        lost: files that were given up for want of room before they were read, or that cannot be read to their end.
    """

    begin: Position
    end: Position
    versions: dict[int, VersionRecord]
    batches: tuple[bytes, ...]
    lost: int


class SpoolReader:
    """Reads the spool in `directory`, which may be written to meanwhile. For one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._versions: dict[int, VersionRecord] = {}
        self._at = Position()

    def read(self, begin: Position, max_bytes: int, *, is_closed: bool = False) -> Chunk:
        """What stands after `begin`, at most some `max_bytes` of it, from one file.

        Args:
            begin: where the last chunk ended.
            max_bytes: at which no more records are taken.
            is_closed: whether nobody writes any more, so that what is not whole never will be.

        Raises:
            OSError: when a file cannot be read.
        """
        numbers = sorted(_numbers(self._directory))
        later = [number for number in numbers if number > begin.file]
        if begin.file not in numbers:
            if not later:
                return self._chunk(begin, begin, (), 0)
            lost = later[0] - begin.file if begin.file else 0
            return self._chunk(begin, Position(file=later[0]), (), lost)
        self._learn(begin)
        batches, end, is_whole = self._take(begin, max_bytes)
        if batches or end > begin or (not later and not is_closed):
            return self._chunk(begin, end, tuple(batches), 0)
        following = later[0] if later else begin.file + 1
        return self._chunk(begin, Position(file=following), (), 0 if is_whole else 1)

    def discard(self, before: Position) -> None:
        """Delete the files that lie wholly before `before`."""
        numbers = _numbers(self._directory)
        for number in numbers:
            if number < min(before.file, max(numbers)):
                _path(self._directory, number).unlink(missing_ok=True)

    def sync(self, position: Position) -> None:
        """Bring what was written to the disk: from then on it survives a loss of power too."""
        for number in _numbers(self._directory):
            if number >= position.file:
                with (
                    contextlib.suppress(FileNotFoundError),  # the writer made room meanwhile
                    open(_path(self._directory, number), "rb") as file,  # noqa: PTH123 - only its descriptor is needed
                ):
                    os.fdatasync(file.fileno())

    def backlog_bytes(self, position: Position) -> int:
        """How much waits after `position`."""
        return sum(
            max(_size(self._directory, number) - (position.position if number == position.file else 0), 0)
            for number in _numbers(self._directory)
            if number >= position.file
        )

    def _chunk(self, begin: Position, end: Position, batches: tuple[bytes, ...], lost: int) -> Chunk:
        return Chunk(begin=begin, end=end, versions=dict(self._versions), batches=batches, lost=lost)

    def _learn(self, begin: Position) -> None:
        """Read the versions that the file names before `begin`, unless that is where this reader has come to."""
        if begin != self._at:
            self._versions.clear()
            data = _path(self._directory, begin.file).read_bytes()[: begin.position]
            for kind, content, _ in frames(data):
                self._note(kind, content)

    def _note(self, kind: int, content: bytes) -> None:
        if kind == Kind.VERSION:
            version = VersionRecord.decode(content)
            self._versions[version.number] = version

    def _take(self, begin: Position, max_bytes: int) -> tuple[list[bytes], Position, bool]:
        """The batches, where they end, and whether nothing but whole records stands in the rest that was read."""
        batches: list[bytes] = []
        end = 0
        with _path(self._directory, begin.file).open("rb") as file:
            file.seek(begin.position)
            data = file.read(max(max_bytes, 1))
            for kind, content, stop in _with_room(data, file.read):
                end = stop
                self._note(kind, content)
                if kind == Kind.BATCH:
                    batches.append(content)
        self._at = Position(file=begin.file, position=begin.position + end)
        return batches, self._at, end == len(data)


def _with_room(data: bytes, more: Callable[[], bytes]) -> Iterator[tuple[int, bytes, int]]:
    """The records in `data`; when not even the first is whole there, in `data` and all that follows it."""
    found = False
    for record in frames(data):
        found = True
        yield record
    if not found and data:
        for record in frames(data + more()):
            yield record
            return


def _numbers(directory: Path) -> list[int]:
    try:
        names = os.listdir(directory)  # noqa: PTH208 - names are enough
    except FileNotFoundError:
        return []
    return [int(name[: -len(_SUFFIX)]) for name in names if name.endswith(_SUFFIX) and name[0].isdigit()]


def _size(directory: Path, number: int) -> int:
    """Of a file that the other side may delete at any time; a file that is gone has no bytes."""
    try:
        return _path(directory, number).stat().st_size
    except FileNotFoundError:
        return 0


def _path(directory: Path, number: int) -> Path:
    return directory / f"{number:012d}{_SUFFIX}"
