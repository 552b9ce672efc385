"""Watches the shares of predicted classes while a rollout goes on: what needs no label."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fairlead.monitoring.class_shares import class_shift

__all__ = ["ClassWatch"]

# A collapse into one class shows at 50 unless that class was the rule anyway; then it does at 100 or 200.
_FIRST_TEST = 50
# What comes later is counted as one class: a label that is different on every row must not fill the memory.
_MAX_CLASSES = 256
_OTHERS = ""


@dataclass(slots=True, kw_only=True)
class ClassWatch:
    """Compares the classes that both arms predict at the candidate's 50th, 100th, 200th ... prediction under a weight.

    The first test ever may be wrong with a chance of alpha / 4, the second with alpha / 12, the k-th with
    alpha / (2 k (k + 1)): all of them together with alpha / 2, however many there will be. The other half is for what
    the chi-squared distribution is only near to at 50 predictions. Counts start anew with each weight, so that only
    predictions of the same time meet.

    Attributes:
        alpha: chance of a false alarm.
        min_distance: total variation distance below which no difference counts.
        weight: the weight that is being counted.
        names: the classes seen under it, in the order they came.
        stable, candidate: predictions of each of them.
        next_test: the candidate's predictions at which the next test is due.
        tests: made so far, under all weights.
        fault: one sentence, once a test failed; else empty.
        figures: of the test that failed, else of the latest.

    >>> watch = ClassWatch(alpha=0.01, min_distance=0.1)
    >>> candidate = np.arange(600) % 10 == 9
    >>> watch.add(0.1, candidate, np.where(candidate, 0, np.arange(600) % 4), ("a", "b", "c", "d"))
    >>> watch.fault
    "100% of the candidate's first 50 predictions are 'a', 28% of the stable version's"
    """

    alpha: float
    min_distance: float
    weight: float = 0.0
    names: list[str] = field(default_factory=list)
    stable: list[int] = field(default_factory=list)
    candidate: list[int] = field(default_factory=list)
    next_test: int = _FIRST_TEST
    tests: int = 0
    fault: str = ""
    figures: dict[str, float] = field(default_factory=dict)

    def add(
        self,
        weight: float,
        candidate: NDArray[np.bool_],
        predicted: NDArray[np.int64],
        classes: tuple[str, ...],
    ) -> None:
        """Fold predictions in, in order; negative classes are left out. Many at once give what one at a time would."""
        known = predicted >= 0
        candidate, predicted = candidate[known], predicted[known]
        if weight != self.weight:
            self.weight, self.next_test = weight, _FIRST_TEST
            self.names, self.stable, self.candidate = [], [], []
        while len(candidate):
            end = self._until_next_test(candidate)
            self._count(candidate[:end], predicted[:end], classes)
            if sum(self.candidate) == self.next_test:
                self._test()
                self.next_test *= 2
            candidate, predicted = candidate[end:], predicted[end:]

    def _until_next_test(self, candidate: NDArray[np.bool_]) -> int:
        missing = self.next_test - sum(self.candidate)
        positions = np.flatnonzero(candidate)
        return int(positions[missing - 1]) + 1 if len(positions) >= missing else len(candidate)

    def _count(self, candidate: NDArray[np.bool_], predicted: NDArray[np.int64], classes: tuple[str, ...]) -> None:
        seen, first = np.unique(predicted, return_index=True)
        places = {int(code): self._place(classes[code]) for code in seen[np.argsort(first)]}
        of_candidate = np.bincount(predicted[candidate], minlength=len(classes))
        of_stable = np.bincount(predicted[~candidate], minlength=len(classes))
        for code, place in places.items():
            self.stable[place] += int(of_stable[code])
            self.candidate[place] += int(of_candidate[code])

    def _place(self, name: str) -> int:
        if name not in self.names:
            name = name if len(self.names) < _MAX_CLASSES else _OTHERS
        if name not in self.names:
            self.names.append(name)
            self.stable.append(0)
            self.candidate.append(0)
        return self.names.index(name)

    def _test(self) -> None:
        shift = class_shift(self.stable, self.candidate)
        if shift is None or self.fault:
            return
        self.tests += 1
        self.figures = {"p": shift.p, "distance": shift.distance, "predictions": self.next_test, "tests": self.tests}
        if shift.p < self.alpha / (2 * self.tests * (self.tests + 1)) and shift.distance >= self.min_distance:
            self.fault = (
                f"{shift.candidate_share:.0%} of the candidate's first {self.next_test} predictions are "
                f"{self.names[shift.class_index]!r}, {shift.stable_share:.0%} of the stable version's"
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "alpha": self.alpha,
            "min_distance": self.min_distance,
            "weight": self.weight,
            "names": list(self.names),
            "stable": list(self.stable),
            "candidate": list(self.candidate),
            "next_test": self.next_test,
            "tests": self.tests,
            "fault": self.fault,
            "figures": dict(self.figures),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        copies = {name: document[name].copy() for name in ("names", "stable", "candidate", "figures")}
        return cls(**{**document, **copies})
