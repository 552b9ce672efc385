"""A detector that looks at every row as it comes, and says at which row a change began."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.reference import Column, NumericReference, numbers_or_nan

__all__ = ["Change", "Direction", "PageHinkley", "Sums", "advance", "normal_scores"]

# How far a sum of standard normal steps passes its threshold, on the average.
_OVERSHOOT = 1.166


class Direction(enum.StrEnum):
    """Which way the values moved."""

    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of level.

    Attributes:
        row: at which it was certain, counted from 0.
        began: the first row that is likely to belong to it.
        direction: where the values went.
    """

    row: int
    began: int
    direction: Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHinkley:
    """How far standardised values must stray to be called changed.

    Attributes:
        slack: what each row is forgiven, in standard deviations: half the change that is to be found soonest.
        threshold: what the rest must add up to, in standard deviations.
    """

    slack: float
    threshold: float

    def __post_init__(self) -> None:
        if not (0.0 < self.slack < math.inf and 0.0 < self.threshold < math.inf):
            told = f"slack {self.slack} and threshold {self.threshold} are not both finite and above 0"
            raise FairleadError(Code.INVALID_ARGUMENT, told)

    @classmethod
    def tuned(
        cls, *, shift_sd: float = 0.3, quiet_rows: float = 1e6, reference_rows: int, inflation: float = 1.0
    ) -> Self:
        """The detector that finds `shift_sd` soonest and is wrong once in about `quiet_rows` rows.

        Args:
            shift_sd: the change to find, in standard deviations.
            quiet_rows: how many rows pass between two false alarms, on the average, of one feature.
            reference_rows: the fewer there are, the less sure is the level before; one standard error is allowed for.
            inflation: how many rows say as much as one independent row, from `drift.calibration`.

        Source: D. Siegmund, "Sequential Analysis" (1985), section 2.6, for the average run length of a one-sided sum:
        (exp(2 k b) - 2 k b - 1) / (2 k^2) rows with b = threshold + 1.166; each of two sides gets half the alarms.

        >>> detector = PageHinkley.tuned(reference_rows=10_000)
        >>> detector.slack, round(detector.threshold, 1)
        (0.15, 39.1)
        """
        slack = shift_sd / 2.0
        sure = max(slack / 2.0, slack - 1.0 / math.sqrt(reference_rows))
        low, high = 0.0, 1e3 * inflation / sure
        for _ in range(100):
            middle = (low + high) / 2.0
            exponent = 2.0 * sure * middle / inflation
            run = math.expm1(min(exponent, 700.0)) - exponent
            low, high = (middle, high) if run < 4.0 * quiet_rows * sure * sure / inflation else (low, middle)
        return cls(slack=slack, threshold=max(1.0, low - _OVERSHOOT * math.sqrt(inflation)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What is remembered between rows; a new one starts afresh.

    Attributes:
        rows: how many were looked at.
        up, down: what has added up in either direction.
        up_since, down_since: the row at which that began.
        change: the first change that was found; from then on nothing else is looked at.
    """

    rows: int = 0
    up: float = 0.0
    down: float = 0.0
    up_since: int = 0
    down_since: int = 0
    change: Change | None = None


def advance(sums: Sums, scores: NDArray[np.float64], detector: PageHinkley) -> Sums:
    """Look at more rows. The outcome is the same however the rows are cut into pieces.

    In either direction what exceeds the slack is added up and never falls below 0; past the threshold there is a
    change, and it began where the sum last left 0, which is its most likely row.

    Args:
        sums: what the rows before left.
        scores: float64 [n], values in standard deviations from the reference's mean, as `normal_scores` gives them.
        detector: slack and threshold.

    Source: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954), 100-115, and D. V. Hinkley, "Inference
    about the change-point from cumulative sum tests", Biometrika 58 (1971), 509-523, with the level before the change
    taken from the reference rather than from the first rows.

    >>> scores = np.concatenate([np.tile([0.5, -0.5], 200), np.tile([1.5, 0.5], 50)])
    >>> advance(Sums(), scores, PageHinkley(slack=0.5, threshold=10.0)).change
    Change(row=420, began=400, direction=<Direction.UP: 'up'>)
    """
    if sums.change is not None or not len(scores):
        return sums
    up, up_since = _add_up(scores - detector.slack, sums.up, sums.up_since, sums.rows)
    down, down_since = _add_up(-scores - detector.slack, sums.down, sums.down_since, sums.rows)
    over = np.maximum(up, down) > detector.threshold
    change = None
    if over.any():
        at = int(np.argmax(over))
        direction, since = (Direction.UP, up_since) if up[at] >= down[at] else (Direction.DOWN, down_since)
        change = Change(row=sums.rows + at, began=int(since[at]), direction=direction)
    return Sums(
        rows=sums.rows + len(scores),
        up=float(up[-1]),
        down=float(down[-1]),
        up_since=int(up_since[-1]),
        down_since=int(down_since[-1]),
        change=change,
    )


def normal_scores(reference: NumericReference, values: Column) -> NDArray[np.float64]:
    """Each value as a standard normal variable of the same rank in the reference would be: float64 [n].

    So skewed values and outliers add up as normal ones do. A value scores the mean of the normal quantiles between its
    neighbours in the sketch, one that many rows share the mean of all of theirs, and a null 0, which says nothing.
    Of values that pile up on a few points a sketch knows the shares only roughly: windows are the better judge there.

    Source: B. L. van der Waerden, "Order tests for the two-sample problem and their power", Indagationes Mathematicae
    14 (1952), 453-458.

    >>> reference = NumericReference(name="x", quantiles=tuple(range(101)), rows=1000)
    >>> normal_scores(reference, [-9.0, 50.0, 84.5, None]).round(1).tolist()
    [-2.7, 0.0, 1.0, 0.0]
    """
    numbers, quantiles = numbers_or_nan(values), np.array(reference.quantiles)
    cumulative = _cumulative_scores(len(quantiles) - 1)
    left, right = (np.searchsorted(quantiles, numbers, side=side) for side in ("left", "right"))
    is_between = left == right
    last = len(quantiles) - 1
    start = np.where(is_between, np.clip(left - 1, 0, last - 1), np.clip(left - 0.5, 0, last))
    end = np.where(is_between, start + 1, np.clip(right - 0.5, 0, last))
    sums = np.interp(end, np.arange(last + 1), cumulative) - np.interp(start, np.arange(last + 1), cumulative)
    return np.where(np.isnan(numbers), 0.0, sums / (end - start))


def _cumulative_scores(bins: int) -> NDArray[np.float64]:
    """The sums of the bins' scores, which have mean 0 and variance 1: float64 [bins + 1]."""
    inner = [NormalDist().inv_cdf(edge / bins) for edge in range(1, bins)]
    density = np.array([0.0, *map(NormalDist().pdf, inner), 0.0])
    scores = (density[:-1] - density[1:]) * bins
    return np.concatenate(([0.0], np.cumsum(scores / scores.std())))


def _add_up(
    steps: NDArray[np.float64], before: float, since: int, first_row: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The sum after each step, which starts again at 0 wherever it would fall below, and the row it started at."""
    walk = before + np.cumsum(steps)
    lowest = np.minimum(np.minimum.accumulate(walk), 0.0)
    starts_again = walk <= np.minimum(np.concatenate(([0.0], lowest[:-1])), 0.0)
    rows = np.where(starts_again, first_row + 1 + np.arange(len(steps)), since)
    return walk - lowest, np.maximum.accumulate(rows)
