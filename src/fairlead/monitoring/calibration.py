"""Whether a model that says it is sure of 90 % is right on 90 %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.share import Share

__all__ = ["Bin", "Calibration", "calibration"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The rows whose confidence lies from `low` up to `high`.

    Attributes:
        rows: how many there are.
        confidence: their mean; None without rows.
        accuracy: how many of them were right; None without rows.
    """

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: Share | None

    def to_json(self) -> dict[str, Any]:
        return {
            "low": self.low,
            "high": self.high,
            "rows": self.rows,
            "confidence": self.confidence,
            "accuracy": self.accuracy and self.accuracy.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The reliability table, and the expected calibration error: the mean gap, each bin counting by its rows."""

    error: float
    bins: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        return {"error": self.error, "bins": [one.to_json() for one in self.bins]}


def calibration(
    confidence: NDArray[np.float64], is_right: NDArray[np.bool_], *, bins: int = 10, level: float = 0.95
) -> Calibration | None:
    """Hold confidences against what was right.

    Args:
        confidence: the probability of the predicted class, float64, shape (n,). Rows where it is no probability
            (NaN, or outside 0..1, as with scores that were never normalised) are left out.
        is_right: whether the predicted class was true, shape (n,).
        bins: of equal width; the last one includes 1.
        level: of the intervals.

    Returns:
        The table, or None when no row has a probability.

    Source: M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian
    binning", AAAI Conference on Artificial Intelligence (2015), 2901-2907; the table: M. H. DeGroot, S. E. Fienberg,
    "The comparison and evaluation of forecasters", The Statistician 32 (1983), 12-22.

    >>> sure = np.array([0.95, 0.95, 0.95, 0.95, 0.55])
    >>> found = calibration(sure, np.array([True, True, True, False, True]))
    >>> round(found.error, 3), [(one.low, one.rows) for one in found.bins if one.rows]
    (0.25, [(0.5, 1), (0.9, 4)])
    """
    if bins < 1 or confidence.shape != is_right.shape:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{bins} bins of {confidence.shape} confidences and {is_right.shape} outcomes cannot be made",
        )
    is_probability = (confidence >= 0.0) & (confidence <= 1.0)
    if not is_probability.any():
        return None
    confidence, is_right = confidence[is_probability], is_right[is_probability]
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    rows = np.bincount(place, minlength=bins)
    right = np.bincount(place, weights=is_right, minlength=bins).astype(np.int64)
    total = np.bincount(place, weights=confidence, minlength=bins)
    table = tuple(
        Bin(
            low=number / bins,
            high=(number + 1) / bins,
            rows=int(rows[number]),
            confidence=float(total[number] / rows[number]) if rows[number] else None,
            accuracy=Share.of(int(right[number]), int(rows[number]), level),
        )
        for number in range(bins)
    )
    return Calibration(error=float(np.abs(right - total).sum() / len(confidence)), bins=table)
