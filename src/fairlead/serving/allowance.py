"""How much may be done of what costs more than it tells when there is a lot of it."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["Allowance"]

_SAVED_S = 1.0


class Allowance:
    """So many rows a second. What comes while some are left is taken whole, and owed for.

    Whether something is taken depends on when it comes and not on what it is, so that what is taken stands for the
    rest. A second's worth is saved up while little comes.

    Args:
        rows_per_s: how many.
        clock: for tests; seconds.
    """

    __slots__ = ("_clock", "_free_at", "_row_s")

    def __init__(self, rows_per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._row_s = 1.0 / rows_per_s
        self._clock = clock
        self._free_at = clock() - _SAVED_S

    def take(self, rows: int) -> bool:
        """Whether these rows may be taken."""
        now = self._clock()
        if now < self._free_at:
            return False
        self._free_at = max(self._free_at, now - _SAVED_S) + rows * self._row_s
        return True
