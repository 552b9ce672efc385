"""Standard error as a place for what may be lost."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["keep_standard_error"]


class _Lossy(io.RawIOBase):
    """Writes to a descriptor, and loses what cannot be written: the disk is full, or nobody reads any more.

    Nothing is kept back to be tried again: the interpreter would, last of all, and then end with a status of its own.

    Args:
        descriptor: stays open.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer) -> int:
        left = memoryview(data)
        size = len(left)
        with suppress(OSError):
            while left:
                left = left[os.write(self._descriptor, left) :]
        return size


def keep_standard_error() -> TextIO:
    """Let nothing that is said on standard error decide whether the process goes on, or what it exits with.

    Returns:
        Standard error; as it was, where a program has put something else in its place.
    """
    was = sys.__stderr__
    if was is not None and sys.stderr is was:
        raw = cast("io.BufferedIOBase", _Lossy(was.fileno()))  # whole lines come, which no buffer need hold
        sys.stderr = io.TextIOWrapper(raw, was.encoding, was.errors, line_buffering=True)
    return sys.stderr
