"""Room for streams whose rows resemble the ones before: how many of them say as much as one independent row.

A visitor sends ten pictures in a row, a sensor drifts through the day: a window of such rows holds less than it seems
to, its shares swing more widely than those of independent rows, and tests that count every row cry drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.reference import CategoricalReference, Column, NumericReference, numbers_or_nan
from fairlead.monitoring.drift.sketch import sketch
from fairlead.monitoring.drift.thresholds import DriftThresholds

__all__ = ["calibrate", "inflation"]

_LEAST_ROWS = 5_000
_COMMON_SHARE = 0.02
_STANDARD_ERRORS = 2.0


def calibrate(
    references: Sequence[NumericReference | CategoricalReference],
    past: Sequence[Mapping[str, Column]],
    thresholds: DriftThresholds = DriftThresholds(),  # noqa: B008 - a frozen value
) -> DriftThresholds:
    """The thresholds for a stream, by what it looked like while it was known to be quiet.

    Each feature's rows are counted by how much they say. Of the shares that the tests compare, that of the rows under
    each edge of a bin or in each common category, the one that swings most widely decides, and two standard errors of
    the measurement are added: what is unsure errs to the quiet side. The reference's own rows are taken as
    independent of each other, as those of a shuffled held-out set are.

    Args:
        references: of the features.
        past: windows in the order of time, each with its rows in the order of time, and of about the size of those
            that will be judged; at least 5,000 rows in all. What changes within one is taken for the stream's nature.
        thresholds: what is kept of them is all but the inflation.

    Raises:
        FairleadError: FAILED_PRECONDITION when there are fewer rows.

    Source: J. N. K. Rao and A. J. Scott, "The analysis of categorical data from complex sample surveys", Journal of
    the American Statistical Association 76 (1981), 221-230, for tests that count rows by what they say.

    >>> steps = np.random.default_rng(5).standard_normal(20_000)
    >>> stream = np.repeat(steps[:5_000], 4)
    >>> reference = NumericReference.describe("x", steps)
    >>> past = [{"x": window} for window in np.split(stream, 20)]
    >>> round(calibrate([reference], past).inflation["x"], 1)
    4.7
    """
    if (rows := sum(_rows(window) for window in past)) < _LEAST_ROWS:
        told = f"{rows:,} rows of the past are too few to calibrate by: at least {_LEAST_ROWS:,} are needed"
        raise FairleadError(Code.FAILED_PRECONDITION, told, hint="judge without calibration until there are")
    measured = {reference.name: _feature_inflation(reference, past) for reference in references}
    return replace(thresholds, inflation=MappingProxyType(measured))


def inflation(windows: Sequence[NDArray[np.float64]]) -> float:
    """How many rows of a stream say as much of its mean as one independent row: 1.0 or more.

    Each window counts from its own mean: what changes from one window to the next is drift, not how rows resemble each
    other. The autocorrelations are summed as long as two neighbours of them are above 0 together, and two standard
    errors (N. Madras and A. D. Sokal, Journal of Statistical Physics 50 (1988), 109-186) are added.

    Args:
        windows: float64 [n] each, in the order of time.

    Source: C. J. Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7 (1992), 473-483.

    >>> rng = np.random.default_rng(1)
    >>> inflation([rng.standard_normal(1000) for _ in range(50)]) < 1.1
    True
    """
    rows = sum(len(window) for window in windows)
    longest = max((len(window) for window in windows), default=0)
    covariances = _autocovariances([window - window.mean() for window in windows if len(window)], longest)
    if longest < 2 or covariances[0] <= 0.0:  # noqa: PLR2004 - neither has neighbours
        return 1.0
    pairs = covariances[: longest // 2 * 2].reshape(-1, 2).sum(axis=1) / covariances[0]
    kept = int(np.argmax(np.append(pairs, 0.0) <= 0.0))
    measured = max(1.0, 2.0 * float(pairs[:kept].sum()) - 1.0)
    return measured * (1.0 + _STANDARD_ERRORS * math.sqrt(2.0 * (4.0 * kept + 1.0) / rows))


def _autocovariances(windows: Iterable[NDArray[np.float64]], longest: int) -> NDArray[np.float64]:
    """The sums of products of rows 0, 1, 2 ... apart: float64 [longest]."""
    size = 1 << (2 * max(1, longest) - 1).bit_length()
    spectrum = sum((np.abs(np.fft.rfft(window, size)) ** 2 for window in windows), np.zeros(size // 2 + 1))
    sums: NDArray[np.float64] = np.fft.irfft(spectrum, size)[:longest]
    return sums


def _feature_inflation(
    reference: NumericReference | CategoricalReference, past: Sequence[Mapping[str, Column]]
) -> float:
    columns = [window[reference.name] for window in past if reference.name in window]
    series = [_indicators(reference, column) for column in columns]
    return max((inflation(list(windows)) for windows in zip(*series, strict=True)), default=1.0)


def _indicators(reference: NumericReference | CategoricalReference, column: Column) -> list[NDArray[np.float64]]:
    """Of each share that is compared, which rows belong to it: float64 [n] of 0 and 1, the nulls first."""
    if isinstance(reference, NumericReference):
        numbers = numbers_or_nan(column)
        known = sketch(reference)
        edges = known.quantiles[known.bins.lower]
        return [np.isnan(numbers) * 1.0, *((numbers <= edge) * 1.0 for edge in edges)]
    common = [name for name, share in reference.shares.items() if share >= _COMMON_SHARE]
    return [np.array([value is None for value in column]) * 1.0] + [
        np.array([value == name for value in column]) * 1.0 for name in common
    ]


def _rows(window: Mapping[str, Column]) -> int:
    return max(map(len, window.values()), default=0)
