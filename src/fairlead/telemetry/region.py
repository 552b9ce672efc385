"""A piece of memory in which one process counts and all may read, also after that process was killed.

A region is a header and then records, one for each series: its size in bytes, a generation that is odd while the record
is in use, the number of its cells, the length of its key, and since when it is hidden; then the cells, float64 each,
and the key. Only one process writes to a region. What makes a record visible is written last, so a reader needs no
lock: it sees a record whole or not at all. Every field and cell is an aligned word of 8 bytes, which processors read
and write in one piece.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import Self

from fairlead.errors import Code, FairleadError

__all__ = ["REGION_BYTES", "Memory", "Region"]

REGION_BYTES = 2**20
"""Room for some 3,000 series."""

_HEADER_WORDS = 8
_OWNER, _OVERFLOWS, _CONNECTIONS = 0, 1, 2
_PROTOCOLS = 4
_RECORD_WORDS = 5
_SIZE, _GENERATION, _CELLS, _KEY_BYTES, _HIDDEN_AT = range(_RECORD_WORDS)
_GRAIN_WORDS = 8
"""Records are as long as a multiple of this, so that a freed one soon fits another series."""


class Region:
    """Records in `memory`. What is there already is gone on with.

    Args:
        memory: bytes, zeroed at first; a multiple of 64 of them.
    """

    def __init__(self, memory: memoryview) -> None:
        self._bytes = memory
        self._words: memoryview[int] = memory.cast("q")
        self._floats: memoryview[float] = memory.cast("d")
        self._places: dict[bytes, int] = {}
        self._vacant: dict[int, list[int]] = {}
        self._end = _HEADER_WORDS
        for at in self._walk():
            self._end = at + self._words[at + _SIZE] // 8
            if self._words[at + _GENERATION] % 2:
                self._places[self._key(at)] = at
            else:
                self._set_vacant(at)

    @classmethod
    def private(cls, size: int = REGION_BYTES) -> Self:
        """A region of this process alone."""
        return cls(memoryview(mmap.mmap(-1, size)))

    @property
    def owner(self) -> int:
        """The process that counts here; 0 for none."""
        return self._words[_OWNER]

    @owner.setter
    def owner(self, pid: int) -> None:
        self._words[_OWNER] = pid
        for which in range(_PROTOCOLS):
            self.connections[which] = 0

    @property
    def connections(self) -> memoryview[int]:
        """A word for each of four protocols: 0, or 1 more than the owner has connections while it accepts some."""
        return self._words[_CONNECTIONS : _CONNECTIONS + _PROTOCOLS]

    @property
    def overflows(self) -> int:
        """How many series found no room."""
        return self._words[_OVERFLOWS]

    # -- for the process that owns it ------------------------------------------------------------------------------

    def series(self) -> list[bytes]:
        """The keys of all series that are counted."""
        return list(self._places)

    def cells(self, key: bytes, count: int) -> memoryview[float] | None:
        """The series' cells: those that are there, shown again, or else new ones, all 0; None when there is no room."""
        at = self._places.get(key)
        if at is not None and self._words[at + _CELLS] != count:  # another release of this program counted in it
            self.retire(key)
            at = None
        if at is None:
            at = self._add(key, count)
        if at is None:
            self._words[_OVERFLOWS] += 1
            return None
        self._words[at + _HIDDEN_AT] = 0
        first = at + _RECORD_WORDS
        return self._floats[first : first + count]

    def retire(self, key: bytes) -> None:
        """Give the series' record back, if there is one."""
        at = self._places.pop(key, None)
        if at is not None:
            self._words[at + _GENERATION] += 1
            self._set_vacant(at)

    def hide(self, key: bytes, at: int) -> int:
        """Let all know that the series will be retired: the nanosecond at which that was said first, `at` if now."""
        place = self._places[key] + _HIDDEN_AT
        self._words[place] = self._words[place] or at
        return self._words[place]

    def show(self, key: bytes) -> None:
        """Take that back."""
        self._words[self._places[key] + _HIDDEN_AT] = 0

    def _add(self, key: bytes, count: int) -> int | None:
        needed = _RECORD_WORDS + count + (len(key) + 7) // 8
        size = -(-needed // _GRAIN_WORDS) * _GRAIN_WORDS
        if vacant := self._vacant.get(size):
            at = vacant.pop()
            self._fill(at, key, count)
            self._words[at + _GENERATION] += 1
        elif self._end + size <= len(self._words):
            at, self._end = self._end, self._end + size
            self._fill(at, key, count)
            self._words[at + _GENERATION] = 1
            if self._end < len(self._words):
                self._words[self._end + _SIZE] = 0  # what a killed process may have left there
            self._words[at + _SIZE] = size * 8
        else:
            return None
        self._places[key] = at
        return at

    def _fill(self, at: int, key: bytes, count: int) -> None:
        """Write all of a record but what makes it visible."""
        words, first = self._words, at + _RECORD_WORDS
        words[at + _CELLS] = count
        words[at + _KEY_BYTES] = len(key)
        words[at + _HIDDEN_AT] = 0
        for cell in range(first, first + count):
            words[cell] = 0  # which is 0.0 as well
        start = (first + count) * 8
        self._bytes[start : start + len(key)] = key

    def _set_vacant(self, at: int) -> None:
        self._vacant.setdefault(self._words[at + _SIZE] // 8, []).append(at)

    # -- for everybody ---------------------------------------------------------------------------------------------

    def read(self) -> Iterator[tuple[bytes, list[float]]]:
        """The key and the cells of every series, while the owner goes on counting."""
        for at in self._walk():
            generation = self._words[at + _GENERATION]
            first, count = at + _RECORD_WORDS, self._words[at + _CELLS]
            if generation % 2 == 0 or first + count > at + self._words[at + _SIZE] // 8:
                continue
            key, cells = self._key(at), list(self._floats[first : first + count])
            if self._words[at + _GENERATION] == generation:  # or it was given to another series meanwhile
                yield key, cells

    def hidden(self) -> Iterator[bytes]:
        """The keys of the series that will be retired."""
        for at in self._walk():
            generation, since = self._words[at + _GENERATION], self._words[at + _HIDDEN_AT]
            if since and generation % 2:
                key = self._key(at)
                if self._words[at + _GENERATION] == generation:
                    yield key

    def _walk(self) -> Iterator[int]:
        """Where each record begins."""
        at, end = _HEADER_WORDS, len(self._words)
        while at < end and (size := self._words[at + _SIZE] // 8):
            yield at
            at += size

    def _key(self, at: int) -> bytes:
        start = (at + _RECORD_WORDS + self._words[at + _CELLS]) * 8
        return bytes(self._bytes[start : start + self._words[at + _KEY_BYTES]])


class Memory:
    """The memory that all processes of a service count in: nameless, gone with the last of them.

    Args:
        descriptor: of the memory, inherited from the process that made it.
        count: how many regions there are.
    """

    def __init__(self, descriptor: int, count: int) -> None:
        self.descriptor = descriptor
        memory = memoryview(mmap.mmap(descriptor, count * REGION_BYTES))
        self.pieces = [memory[which * REGION_BYTES : (which + 1) * REGION_BYTES] for which in range(count)]

    @classmethod
    def make(cls, count: int) -> Self:
        """Memory for so many regions, all of it there from the start: a write never fails for want of a page.

        Raises:
            FairleadError: RESOURCE_EXHAUSTED when there is not as much.
        """
        descriptor = os.memfd_create("fairlead-metrics")
        try:
            os.posix_fallocate(descriptor, 0, count * REGION_BYTES)
        except OSError as error:
            os.close(descriptor)
            raise FairleadError(
                Code.RESOURCE_EXHAUSTED,
                f"there is no memory for {count} MiB of metrics: {error}",
                hint="fewer workers need less: --workers 1",
            ) from error
        return cls(descriptor, count)
