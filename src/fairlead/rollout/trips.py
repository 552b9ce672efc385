"""Faults so plain that no statistics are needed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Trips"]

# One such answer may be the input's fault; three, when the stable version gave none, are not.
_NON_FINITE_LIMIT = 3
# At an ordinary error rate of 1 % five in a row happen once in 10 ^ 10.
_STREAK_LIMIT = 5


@dataclass(slots=True, kw_only=True)
class Trips:
    """Watches the candidate for answers that are not numbers, and for nothing but errors.

    The stable version's answers of the same time are counted beside: an outage or an input that breaks both is not
    held against the candidate.

    Attributes:
        stable_rows, stable_errors, stable_non_finite, candidate_non_finite: rows so far.
        streak: errors of the candidate since its last answer.
        streak_rows, streak_errors: `stable_rows` and `stable_errors` when the streak began.
        load_failure, non_finite, all_errors: one sentence each, once it happened; else empty.

    >>> trips = Trips()
    >>> stable_then_candidate = np.array([False] * 20 + [True] * 3)
    >>> trips.add(stable_then_candidate, np.zeros(23, np.bool_), non_finite=stable_then_candidate)
    >>> trips.non_finite
    '3 answers of the candidate held NaN or infinity, none of the stable version did'
    """

    stable_rows: int = 0
    stable_errors: int = 0
    stable_non_finite: int = 0
    candidate_non_finite: int = 0
    streak: int = 0
    streak_rows: int = 0
    streak_errors: int = 0
    load_failure: str = ""
    non_finite: str = ""
    all_errors: str = ""

    def add(self, candidate: NDArray[np.bool_], error: NDArray[np.bool_], non_finite: NDArray[np.bool_]) -> None:
        """Fold rows in, in order. Many at once give exactly what one at a time would."""
        self._count_non_finite(candidate, non_finite)
        self._follow_streaks(candidate, error)
        self.stable_rows += int(np.count_nonzero(~candidate))
        self.stable_errors += int(np.count_nonzero(error & ~candidate))

    def _count_non_finite(self, candidate: NDArray[np.bool_], non_finite: NDArray[np.bool_]) -> None:
        for position in np.flatnonzero(non_finite).tolist():
            if not candidate[position]:
                self.stable_non_finite += 1
                continue
            self.candidate_non_finite += 1
            if self.candidate_non_finite == _NON_FINITE_LIMIT and not self.stable_non_finite:
                self.non_finite = (
                    f"{_NON_FINITE_LIMIT} answers of the candidate held NaN or infinity, none of the stable version did"
                )

    def _follow_streaks(self, candidate: NDArray[np.bool_], error: NDArray[np.bool_]) -> None:
        positions = np.flatnonzero(candidate)
        failed = error[positions]
        if failed.any():
            rows = self.stable_rows + np.cumsum(~candidate)
            errors = self.stable_errors + np.cumsum(error & ~candidate)
            goes_on = np.concatenate(([self.streak > 0], failed[:-1]))
            for index in np.flatnonzero(failed).tolist():
                at = positions[index]
                self._one_more_error(bool(goes_on[index]), int(rows[at]), int(errors[at]))
        if len(failed) and not failed[-1]:
            self.streak = 0

    def _one_more_error(self, goes_on: bool, stable_rows: int, stable_errors: int) -> None:
        if not goes_on:
            self.streak, self.streak_rows, self.streak_errors = 0, stable_rows, stable_errors
        self.streak += 1
        rows, errors = stable_rows - self.streak_rows, stable_errors - self.streak_errors
        if self.streak >= _STREAK_LIMIT <= rows and 2 * errors < rows and not self.all_errors:
            beside = f"the stable version {errors} of {rows} times meanwhile"
            self.all_errors = f"the candidate failed {self.streak} times in a row, {beside}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        return cls(**document)
