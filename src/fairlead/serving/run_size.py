"""How many rows a version is given at a time: as many as it takes the least time a row for."""

from __future__ import annotations

__all__ = ["RunSize"]

_WEIGHT = 0.2
_TRIAL_RUNS = 16
_FIRST_WAIT, _LONGEST_WAIT = 8, 1024
_CLEARLY = 0.98


class RunSize:
    """Tries half and twice the present size now and then, and keeps what is clearly faster. Sizes are powers of two.

    A processor's caches have room for what some rows leave between a network's layers; with more it waits for memory,
    with fewer the weights are read too often. Which number is best depends on the network and the machine.
    """

    def __init__(self) -> None:
        self._paces_s: dict[int, float] = {}
        self._best = 0
        self._trial = self._rival = 0
        self._runs_left = 0
        self._wait = self._batches_left = _FIRST_WAIT
        self._tries_half = True

    def choose(self, rows: int, most: int) -> int:
        """The size of the runs for a batch of `rows`, at most `most`."""
        if not 0 < self._best <= most:
            self._best = most
        if self._trial > most:
            self._trial = 0
        if self._trial:
            return self._trial
        self._batches_left -= 1
        if self._batches_left > 0:
            return self._best
        return self._try(min(self._best, _floor(rows)), min(most, rows))

    def learn(self, rows: int, seconds: float) -> None:
        """Note a run."""
        size, pace_s = _floor(rows), seconds / rows
        known_s = self._paces_s.get(size, pace_s)
        self._paces_s[size] = known_s + _WEIGHT * (pace_s - known_s)
        if size == self._trial:
            self._runs_left -= 1
            if self._runs_left <= 0:
                self._judge()

    def _try(self, present: int, most: int) -> int:
        """Begin a trial of a neighbour of the present size, if there is one."""
        trial = present // 2 if self._tries_half else present * 2
        self._batches_left = _FIRST_WAIT
        self._tries_half = not self._tries_half
        if not 1 <= trial <= most or present not in self._paces_s:
            return self._best
        self._trial, self._rival, self._runs_left = trial, present, _TRIAL_RUNS
        self._paces_s.pop(trial, None)
        return trial

    def _judge(self) -> None:
        """End the trial. The longer nothing better is found, the less often it is looked for."""
        if self._paces_s[self._trial] < _CLEARLY * self._paces_s[self._rival]:
            self._tries_half = self._trial < self._rival  # go on in the same direction
            self._best, self._wait = self._trial, _FIRST_WAIT
        else:
            self._wait = min(2 * self._wait, _LONGEST_WAIT)
        self._trial, self._batches_left = 0, self._wait


def _floor(rows: int) -> int:
    """The largest power of two that is not larger."""
    return 1 << max(rows, 1).bit_length() - 1
