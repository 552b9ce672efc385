"""An id for each prediction, by which a label that comes later finds it: UUID version 7 (RFC 9562, section 5.7)."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

__all__ = ["PredictionIds", "row_ids"]

_TAIL_BITS = 74
_RAND_B_BITS = 62
_STEP_BITS = 32


class PredictionIds:
    """Makes ids that sort by the time they were made, each greater than the one before. Safe in several threads.

    Within a millisecond, and while the clock stands still or goes back, the random tail grows by a random step
    (RFC 9562, section 6.2, method 2), so that ids stay hard to guess.

    Args:
        clock_ns: nanoseconds since 1970.
        random_bits: a number of that many random bits.
    """

    def __init__(
        self, clock_ns: Callable[[], int] = time.time_ns, random_bits: Callable[[int], int] = secrets.randbits
    ) -> None:
        self._clock_ns = clock_ns
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        """The next id, such as `01890a5d-ac96-774b-bcce-b302099a8057`."""
        with self._lock:
            fresh = (self._clock_ns() // 1_000_000) << _TAIL_BITS
            if fresh >> _TAIL_BITS > self._last >> _TAIL_BITS:
                self._last = fresh | self._random_bits(_TAIL_BITS)
            else:
                self._last += 1 + self._random_bits(_STEP_BITS)  # a carry moves the time on, which keeps the order
            return _text(self._last)


def row_ids(id_: str, rows: int) -> list[str]:
    """The id of each row of a request: its own where it is the only one, else with the row's number behind a dot."""
    return [id_] if rows == 1 else [f"{id_}.{row}" for row in range(rows)]


def _text(ordinal: int) -> str:
    """Set the version and the variant between the 48 + 12 and the 62 bits of `ordinal`."""
    head, tail = divmod(ordinal, 1 << _RAND_B_BITS)
    milliseconds, rand_a = divmod(head, 1 << 12)
    digits = f"{milliseconds:012x}7{rand_a:03x}{0b10 << _RAND_B_BITS | tail:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
