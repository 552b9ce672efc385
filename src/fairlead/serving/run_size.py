"""How many rows a version is given at a time: as many as it takes the least time a row for."""

from __future__ import annotations

from bisect import bisect_right
from statistics import median
from typing import Final

__all__ = ["RunSize", "parts_of"]

_SIZES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_TRIAL_RUNS: Final = 32
_FIRST_WAIT: Final = 8
_LONGEST_WAIT: Final = 1024
_CLEARLY: Final = 0.99


class RunSize:
    """Tries the next smaller and the next larger size now and then, and keeps what is clearly faster.

    A processor's caches have room for what some rows leave between a network's layers; with more it waits for memory,
    with fewer the weights are read too often. Which number is best depends on the network and the machine. In a trial
    the two sizes take turns, batch by batch, and the medians of their runs are compared.
    """

    def __init__(self) -> None:
        self._best = 0
        self._trial: dict[int, list[float]] = {}  # the seconds a row of each run, by size: the present one comes first
        self._turn = 0
        self._wait = self._batches_left = _FIRST_WAIT
        self._goes_down = True

    def choose(self, rows: int, most: int) -> int:
        """The size of the runs for a batch of `rows`, at most `most`."""
        if not 0 < self._best <= most:
            self._best = _SIZES[_place(most)]
        if not self._trial:
            self._batches_left -= 1
            if self._batches_left <= 0:
                self._begin(rows, most)
            return self._best
        if max(self._trial) > min(rows, most):
            return self._best
        self._turn ^= 1
        return [*self._trial][self._turn]

    def learn(self, size: int, rows: int, seconds: float) -> None:
        """Note a run of `rows` in a batch for which `size` was chosen."""
        if size in self._trial and rows:
            self._trial[size].append(seconds / rows)
            if min(map(len, self._trial.values())) >= _TRIAL_RUNS:
                self._judge()

    def _begin(self, rows: int, most: int) -> None:
        """Begin a trial, if there is another size that would cut this batch into another number of parts."""
        self._batches_left = _FIRST_WAIT
        present = _place(min(self._best, rows))
        others = _SIZES[present::-1] if self._goes_down else _SIZES[present : _place(min(most, rows)) + 1]
        self._goes_down = not self._goes_down
        parts = parts_of(rows, _SIZES[present])
        if other := next((size for size in others if parts_of(rows, size) != parts), 0):
            self._trial = {_SIZES[present]: [], other: []}

    def _judge(self) -> None:
        """End the trial. The longer nothing better is found, the less often it is looked for."""
        (present, seconds), (other, other_seconds) = self._trial.items()
        if median(other_seconds) < _CLEARLY * median(seconds):
            self._goes_down = other < present  # on in the same direction
            self._best, self._wait = other, _FIRST_WAIT
        else:
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
        self._trial, self._batches_left = {}, self._wait


def parts_of(rows: int, size: int) -> int:
    """How many parts a batch of `rows` is run in, as even as they can be, none larger than `size`."""
    return -(-rows // size)


def _place(rows: int) -> int:
    """Where the largest size stands that is not larger than `rows`."""
    return bisect_right(_SIZES, rows) - 1
