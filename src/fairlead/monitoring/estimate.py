"""Accuracy while there are no labels: how much less sure of itself the model is than when it was judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.reference import Column, NumericReference
from fairlead.significance.shares import wilson_interval

__all__ = ["Calibration", "Estimate", "estimate_accuracy"]

_FURTHEST = 0.04
"""How far the mean confidence may move before the estimate is out of range.

Up to this every window of `docs/simulations/pictures.md` had its estimate within 5 points of the truth; beyond it, the
estimate is soon off by as much as the confidence moved, and then by twice as much."""

_MOST_STRANGE = 0.04
"""How many rows may be strange: each can be wrong whatever the model says of it, so the harm is 4 points at most."""

_STRANGE_FEATURES = 0.25
_Z = 1.96
_NOTHING: Mapping[str, Column] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What the held-out rows say of the model's confidence.

    Attributes:
        rows: how many there were.
        accuracy: the share that was right.
        mean_confidence, std_confidence: of the largest output.
        features: what those rows looked like.
    """

    rows: int
    accuracy: float
    mean_confidence: float
    std_confidence: float
    features: tuple[NumericReference, ...] = ()

    def __post_init__(self) -> None:
        figures = (self.accuracy, self.mean_confidence, self.std_confidence)
        if self.rows < 1 or not all(math.isfinite(figure) for figure in figures) or not 0.0 <= self.accuracy <= 1.0:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"a calibration of {self.rows} rows with the figures {figures} cannot be"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate of accuracy that no label has confirmed.

    Attributes:
        value: the likely share of right answers.
        low, high: where the true share plausibly lies: as far away as chance, the loss of confidence and the strange
            rows allow. It holds in 95 of 100 windows where the right answers themselves have not changed.
        is_in_range: the rows resemble those on which the estimate was tried; else it is worth nothing.
        reason: a sentence that says so, for people.
    """

    value: float
    low: float
    high: float
    is_in_range: bool
    reason: str


def estimate_accuracy(
    calibration: Calibration, confidences: NDArray[np.float64], features: Mapping[str, Column] = _NOTHING
) -> Estimate:
    """Estimate the accuracy of a window of rows from what the model says of itself.

    The estimate is the held-out accuracy, less what the mean confidence has lost since (the difference of confidences).
    Of five estimates over eight models it erred least: by 2.3, 2.0 and 2.0 points on average with 300, 1,000 and 4,000
    held-out rows. Averaged confidence erred by 4.2, the same after temperature scaling by 2.5, 2.2 and 2.1, after
    Platt's scaling by 2.4, 2.1 and 2.0, and averaged thresholded confidence by 2.9, 2.3 and 2.1
    (`docs/simulations/estimators.md`).

    It cannot see errors that the model is sure of. So it says when it is out of range: when the mean confidence moved
    further than by 4 points (and what chance explains), or when more than 4 rows of 100 are strange. A strange row
    has more than a quarter of its features outside the range of the held-out rows.

    Args:
        calibration: of the version that answered.
        confidences: float64 [n], the largest output of each row, n at least 1; NaN counts as 0.
        features: by name, one value a row, of the same rows. Those that the calibration does not know are left out.

    Raises:
        FairleadError: INVALID_ARGUMENT when there are no rows, or a feature has another number of them.

    Source: D. Guillory, V. Shankar, S. Ebrahimi, T. Darrell and L. Schmidt, "Predicting with confidence on unseen
    distributions", ICCV 2021. Tried beside it: D. Hendrycks and K. Gimpel, "A baseline for detecting misclassified and
    out-of-distribution examples", ICLR 2017 (averaged confidence), and S. Garg, S. Balakrishnan, Z. C. Lipton, B.
    Neyshabur and H. Sedghi, "Leveraging unlabeled data to predict out-of-distribution performance", ICLR 2022 (averaged
    thresholded confidence).

    >>> judged = Calibration(rows=5000, accuracy=0.94, mean_confidence=0.95, std_confidence=0.1)
    >>> found = estimate_accuracy(judged, np.full(500, 0.93))
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3), found.is_in_range
    (0.92, 0.872, 0.962, True)
    >>> print(estimate_accuracy(judged, np.full(500, 0.8)).reason)
    out of range: the mean confidence fell by 15.0 points
    """
    if not len(confidences):
        raise FairleadError(Code.INVALID_ARGUMENT, "there are no rows to estimate the accuracy of")
    drop = calibration.mean_confidence - float(np.nan_to_num(confidences, nan=0.0).mean())
    strange = _strange_share(calibration, features, len(confidences))
    value = min(max(calibration.accuracy - drop, 0.0), 1.0)
    rows = max(1, round(1.0 / (1.0 / len(confidences) + 1.0 / calibration.rows)))
    low, high = wilson_interval(round(value * rows), rows)
    off = abs(drop) + strange
    chance = _Z * calibration.std_confidence / math.sqrt(rows)
    reason = _out_of_range(drop, strange, chance)
    return Estimate(
        value=value,
        low=max(0.0, min(low, value) - off),
        high=min(1.0, max(high, value) + off),
        is_in_range=not reason,
        reason=f"out of range: {reason}" if reason else "in range: the rows resemble those the model was judged on",
    )


def _strange_share(calibration: Calibration, features: Mapping[str, Column], rows: int) -> float:
    """The share of the rows with more than a quarter of their features outside the held-out rows' range."""
    known = [reference for reference in calibration.features if reference.name in features]
    if not known:
        return 0.0
    outside = np.zeros(rows)
    for reference in known:
        values = np.asarray(features[reference.name], np.float64)
        if values.shape != (rows,):
            told = f"feature {reference.name!r} has {len(values)} values for {rows} rows"
            raise FairleadError(Code.INVALID_ARGUMENT, told)
        is_inside = (values >= reference.quantiles[0]) & (values <= reference.quantiles[-1])
        outside += ~(is_inside | (np.isnan(values) & (reference.null_share > 0.0)))
    return float((outside > _STRANGE_FEATURES * len(known)).mean())


def _out_of_range(drop: float, strange: float, chance: float) -> str:
    """Why the estimate is worth nothing; empty when it is worth something."""
    if strange > _MOST_STRANGE:
        return f"{strange:.1%} of the rows are unlike any that the model was judged on"
    if abs(drop) > _FURTHEST + chance:
        return f"the mean confidence {'fell' if drop > 0 else 'rose'} by {100 * abs(drop):.1f} points"
    return ""
