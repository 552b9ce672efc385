"""When labels say that a model has become worse than it was, for good: time to train again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["QualityTrigger"]

# Losses looked for, in accuracy; the evidence is their mean. One loss alone would be slow for all others.
_LOSSES = np.array([0.03, 0.06, 0.1, 0.2, 0.4])
_FLOOR = 0.001


@dataclass(slots=True, kw_only=True)
class QualityTrigger:
    """Watches label after label for an accuracy that fell below what it was, at a moment nobody knows.

    Every label could be the first after the change, so the evidence of all starts is summed (Shiryaev and Roberts).
    As long as the accuracy is at least `reference` - `tolerance`, the sum is expected to grow by at most 1 with each
    label, so that it needs `quiet_labels` labels on average to reach `quiet_labels`: about one needless trigger in
    that many, whatever the true accuracy above the line. After a trigger it starts afresh.

    Attributes:
        reference: accuracy at release, on rows the model was not trained on.
        tolerance: accuracy that may be lost without a new training.
        quiet_labels: labels in which at most one needless trigger is accepted; 30 days' worth is a good number.
        labels, right: since the last start.
        log_sums: the logarithm of the summed evidence for each loss looked for; empty before the first label.

    Source: J. Shin, A. Ramdas and A. Rinaldo, "E-detectors: a nonparametric framework for sequential change
    detection", New England Journal of Statistics in Data Science 2 (2024), 229-260.

    >>> trigger = QualityTrigger(reference=0.95, quiet_labels=30_000)
    >>> trigger.add(np.arange(1_000) % 20 != 0)
    False
    >>> trigger.add(np.arange(300) % 5 != 0)
    True
    """

    reference: float
    quiet_labels: float
    tolerance: float = 0.01
    labels: int = 0
    right: int = 0
    log_sums: NDArray[np.float64] = field(default_factory=lambda: np.full(len(_LOSSES), -np.inf))

    def __post_init__(self) -> None:
        if not 0.0 < self.reference - self.tolerance < 1.0:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"an accuracy of {self.reference} less {self.tolerance} leaves nothing to watch between 0 and 1",
            )
        if not 1.0 < self.quiet_labels < math.inf:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{self.quiet_labels} quiet labels are not more than 1")

    @property
    def line(self) -> float:
        """The least accuracy that is fine."""
        return self.reference - self.tolerance

    def add(self, right: NDArray[np.bool_]) -> bool:
        """Fold labels in, in order; whether the evidence reached its bound at any of them.

        What comes after the trigger in the same call is not looked at: it starts afresh.
        """
        worse = np.maximum(self.line - _LOSSES, _FLOOR)
        gain = np.log(worse / self.line)
        loss = np.log((1.0 - worse) / (1.0 - self.line))
        bound = math.log(self.quiet_labels * len(_LOSSES))
        sums = self.log_sums
        for is_right in right.tolist():
            sums = np.logaddexp(sums, 0.0) + (gain if is_right else loss)
            self.labels, self.right = self.labels + 1, self.right + int(is_right)
            if np.logaddexp.reduce(sums) >= bound:
                self._start_afresh()
                return True
        self.log_sums = sums
        return False

    def _start_afresh(self) -> None:
        self.labels = self.right = 0
        self.log_sums = np.full(len(_LOSSES), -np.inf)

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "quiet_labels": self.quiet_labels,
            "tolerance": self.tolerance,
            "labels": self.labels,
            "right": self.right,
            "log_sums": self.log_sums.tolist() if self.labels else [],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        sums = np.array(document["log_sums"]) if document["labels"] else np.full(len(_LOSSES), -np.inf)
        return cls(**{**document, "log_sums": sums})
