"""Lines on the disk: files that several processes append to, a day's or a size's worth each, kept for a time."""

from __future__ import annotations

import contextlib
import enum
import errno
import logging
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

__all__ = ["FILE_BYTES", "Kept", "LogFile", "Stream", "sweep"]

FILE_BYTES = 64 << 20
_RETRY_S = 1.0
_NAME = re.compile(r"(?P<stream>[a-z]+)-(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})\.(?P<number>[0-9]+)\.jsonl")
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_log = logging.getLogger(__name__)


class Stream(enum.StrEnum):
    """What is written down apart from the rest, and kept for a time of its own."""

    ACCESS = "access"
    """One line for each request: who wants to know what was answered, and how fast."""
    APPLICATION = "application"
    """What the processes say of themselves."""
    EXCEPTIONS = "exceptions"
    """What nobody expected, with tracebacks."""
    PAYLOADS = "payloads"
    """What was asked and answered, redacted; only where somebody wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How much of a stream is kept: no line for longer than `days`, and of more than `max_bytes` the oldest go."""

    days: int
    max_bytes: int


class LogFile:
    """Appends to the newest file of a stream. Threads and processes may share it: each write stands there whole.

    Nothing is raised when the disk is full or gone: lines are lost and counted, it is said once, and once more when
    lines are written again.

    Args:
        directory: made when it is not there.
        stream: what is written.
        max_bytes: of the stream's files together; the oldest go when they would be more.
        on_failure: told how many lines were lost.
        clock: seconds since 1970; a new file begins when the day ends, in UTC.
        file_bytes: a file's size at which the next one begins.
    """

    def __init__(
        self,
        directory: Path,
        stream: Stream,
        *,
        max_bytes: int,
        on_failure: Callable[[int], object],
        clock: Callable[[], float] = time.time,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self._directory = directory
        self._stream = stream
        self._max_bytes = max_bytes
        self._file_bytes = min(file_bytes, max(max_bytes // 4, 1))
        self._on_failure = on_failure
        self._clock = clock
        self._lock = threading.RLock()  # to say that it failed may lead here again
        self._descriptor: int | None = None
        self._day = ""
        self._lost = 0
        self._retry_at = 0.0
        self._is_cut = False

    def write(self, data: bytes) -> None:
        """Append lines, each of which ends with a line feed."""
        with self._lock:
            if self._lost and time.monotonic() < self._retry_at:
                self._lose(data.count(b"\n"))
                return
            try:
                written = self._append(data)
            except OSError as error:
                self._fail(error, data.count(b"\n"))
                return
            if written < len(data):
                self._is_cut = True
                self._fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), data[written:].count(b"\n"))
            elif self._lost:
                lost, self._lost = self._lost, 0
                _log.warning("the %s log is written again; %d lines of it were lost", self._stream, lost)

    def close(self) -> None:
        """Let the file go; another write opens it again."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
            self._descriptor = None

    def _append(self, data: bytes) -> int:
        day = datetime.fromtimestamp(self._clock(), UTC).date().isoformat()
        if self._descriptor is not None:
            status = os.fstat(self._descriptor)
            if day != self._day or status.st_size >= self._file_bytes or not status.st_nlink:
                self.close()
        if self._descriptor is None:
            self._open(day)
        if self._is_cut:  # half a line stands there
            os.write(self._descriptor or 0, b"\n")
            self._is_cut = False
        return os.write(self._descriptor or 0, data)

    def _open(self, day: str) -> None:
        """Open the day's newest file, or the next one when it is full: all processes find the same one."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = _files(self._directory, self._stream)
        number = max((each for of, each, _ in files if of.isoformat() == day), default=0)
        while True:
            path = self._directory / f"{self._stream}-{day}.{number}.jsonl"
            descriptor = os.open(path, _FLAGS, 0o600)
            if os.fstat(descriptor).st_size < self._file_bytes:
                break
            os.close(descriptor)
            number += 1
        self._descriptor, self._day = descriptor, day
        _make_room(self._directory, self._stream, self._max_bytes - self._file_bytes)

    def _fail(self, error: OSError, lines: int) -> None:
        self.close()
        self._retry_at = time.monotonic() + _RETRY_S
        is_first = not self._lost
        self._lose(lines)
        if is_first:
            _log.error("the %s log cannot be written to %s: %s", self._stream, self._directory, error.strerror)

    def _lose(self, lines: int) -> None:
        self._lost += lines
        self._on_failure(lines)


def sweep(directory: Path, stream: Stream, kept: Kept, *, today: date) -> list[str]:
    """Delete what was kept long enough, and what is too much; the names of the files.

    A file holds the lines of one day, in UTC. It goes as soon as a line in it may be `kept.days` days old.
    """
    gone = []
    for day, _, path in _files(directory, stream):
        if day <= today - timedelta(days=kept.days):
            path.unlink(missing_ok=True)  # others may sweep at the same time
            gone.append(path.name)
    return gone + _make_room(directory, stream, kept.max_bytes)


def _make_room(directory: Path, stream: Stream, max_bytes: int) -> list[str]:
    """Delete the oldest files until the others have at most so many bytes; the newest stays in any case."""
    files = [path for _, _, path in _files(directory, stream)]
    sizes = {path: _size(path) for path in files}
    gone = []
    for path in files[:-1]:
        if sum(sizes.values()) <= max_bytes:
            break
        path.unlink(missing_ok=True)
        gone.append(path.name)
        del sizes[path]
    return gone


def _files(directory: Path, stream: Stream) -> list[tuple[date, int, Path]]:
    """The stream's files, the oldest first."""
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in directory.iterdir():
            match = _NAME.fullmatch(path.name)
            if match and match["stream"] == stream:
                with contextlib.suppress(ValueError):  # no day: none of ours
                    found.append((date.fromisoformat(match["day"]), int(match["number"]), path))
    return sorted(found)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
