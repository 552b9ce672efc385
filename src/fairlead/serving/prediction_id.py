"""An id for each prediction, by which a label that comes later finds it: UUID version 7 (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

__all__ = ["PredictionIds", "row_ids"]

_HEAD_BITS: Final = 12
"""Random bits between the time and the tail."""

_TAIL_BITS: Final = 62
_STEP_BITS: Final = 32
_VARIANT: Final = 0b10 << _TAIL_BITS
_POOL_BYTES: Final = 4096


class _Randomness:
    """Random bits from the kernel, asked for many at a time. For one thread at a time."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def __call__(self, bits: int) -> int:
        size = (bits + 7) // 8
        start = self._at
        if start + size > len(self._pool):
            self._pool, start = os.urandom(_POOL_BYTES), 0
        self._at = start + size
        return int.from_bytes(self._pool[start : self._at], "big") >> (8 * size - bits)


class PredictionIds:
    """Makes ids that sort by the time they were made, each greater than the one before. Safe in several threads.

    Within a millisecond, and while the clock stands still or goes back, the random tail grows by a random step
    (RFC 9562, section 6.2, method 2), so that ids stay hard to guess.

    Args:
        clock_ns: nanoseconds since 1970.
        random_bits: a number of that many random bits, from the kernel unless given.
    """

    def __init__(
        self, clock_ns: Callable[[], int] = time.time_ns, random_bits: Callable[[int], int] | None = None
    ) -> None:
        self._clock_ns = clock_ns
        self._random_bits = random_bits or _Randomness()
        self._lock = threading.Lock()
        self._tail = 0
        self._set_head(0)

    def __call__(self) -> str:
        """The next id, such as `01890a5d-ac96-774b-bcce-b302099a8057`."""
        with self._lock:
            milliseconds = self._clock_ns() // 1_000_000
            if milliseconds > self._head >> _HEAD_BITS:
                fresh = self._random_bits(_HEAD_BITS + _TAIL_BITS)
                self._set_head((milliseconds << _HEAD_BITS) + (fresh >> _TAIL_BITS))
                self._tail = fresh & ((1 << _TAIL_BITS) - 1)
            else:
                self._tail += 1 + self._random_bits(_STEP_BITS)
                if self._tail >> _TAIL_BITS:  # a carry moves the time on in the end, which keeps the order
                    self._tail -= 1 << _TAIL_BITS
                    self._set_head(self._head + 1)
            digits = f"{_VARIANT + self._tail:016x}"
            return f"{self._begin}{digits[:4]}-{digits[4:]}"

    def _set_head(self, head: int) -> None:
        """Take a new head: the time and the random bits behind it. The ids of a millisecond share its text."""
        self._head = head
        digits = f"{head >> _HEAD_BITS:012x}"
        self._begin = f"{digits[:8]}-{digits[8:]}-7{head % (1 << _HEAD_BITS):03x}-"


def row_ids(id_: str, rows: int) -> list[str]:
    """The id of each row of a request: its own where it is the only one, else with the row's number behind a dot."""
    return [id_] if rows == 1 else [f"{id_}.{row}" for row in range(rows)]
