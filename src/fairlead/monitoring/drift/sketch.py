"""A numeric reference made ready to be compared with, and how a window's numbers moved against it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fairlead.monitoring.drift.bins import Bins, bins
from fairlead.monitoring.drift.reference import NumericReference

__all__ = ["Movement", "Sketch", "compare", "sketch"]

_TAIL = 0.05
_MOST_SD = 1e6  # beyond it nobody reads the figure
_MOST = 1e150  # of a value whose movement is measured: the square of one beyond is no float
_MOST_FACTOR = 1e12  # no two units lie further apart
_WIDER, _NARROWER = 1.1, 0.9
_UNIT_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """A numeric reference, made ready to be compared with.

    Attributes:
        quantiles: float64 [k].
        bins: over which the values are counted.
        inner: float64 [i], the quantiles between the tails of 5 %, which outliers do not move.
        probabilities, normal: float64 [i], theirs, and a standard normal variable's quantiles at the same ones.
        sd: about the standard deviation, never 0.
    """

    quantiles: NDArray[np.float64]
    bins: Bins
    inner: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    normal: NDArray[np.float64]
    sd: float


@lru_cache(maxsize=4096)
def sketch(reference: NumericReference) -> Sketch:
    """The reference's bins and spread.

    The standard deviation is the slope of the inner quantiles over those of a normal variable: exact for normal
    values, and no outlier moves it. Where the inner quantiles are all the same, that of all quantiles stands in, then
    the size of the value itself.

    >>> normal = [NormalDist(mu=5, sigma=2).inv_cdf(p / 100) for p in range(1, 100)]
    >>> round(sketch(NumericReference(name="x", quantiles=(-3.0, *normal, 13.0), rows=1000)).sd, 6)
    2.0
    """
    quantiles = np.array(reference.quantiles)
    probabilities = np.linspace(0.0, 1.0, len(quantiles))
    tail = math.ceil(_TAIL * (len(quantiles) - 1))
    inner, between = np.clip(quantiles[tail:-tail], -_MOST, _MOST), probabilities[tail:-tail]
    normal = np.array([NormalDist().inv_cdf(p) for p in between])
    return Sketch(
        quantiles=quantiles,
        bins=bins(quantiles),
        inner=inner,
        probabilities=between,
        normal=normal,
        sd=_slope(inner, normal) or float(np.std(np.clip(quantiles, -_MOST, _MOST))) or abs(float(inner[0])) or 1.0,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How a window's inner quantiles lie against the reference's.

    Attributes:
        shift: how far they moved on the average, in reference standard deviations; below 0 when they fell.
        distance: the same without regard to the direction: what a spread that grew shows up in.
        spread: how many times as wide the window is; 1.0 where that cannot be said.
        factor: what all values seem to have been multiplied by, when it is a power of ten, as another unit does;
            1.0 when it is not.
    """

    shift: float
    distance: float
    spread: float
    factor: float

    @property
    def effect(self) -> float:
        """The distance, below 0 when the values fell on the whole."""
        return math.copysign(self.distance, self.shift)

    def tell(self, feature: str) -> str:
        """In words.

        >>> Movement(shift=-1.2, distance=1.2, spread=1.0, factor=1.0).tell("ink")
        'ink fell by 1.2 sd'
        """
        if self.factor != 1.0:
            return f"{feature} is {self.factor:,g} times what it was, as in another unit"
        if abs(self.shift) >= self.distance / 2.0 and round(self.distance, 1) > 0.0:
            return f"{feature} {'rose' if self.shift > 0.0 else 'fell'} by {self.distance:.1f} sd"
        if self.spread > _WIDER or self.spread < _NARROWER:
            return f"{feature} spreads {self.spread:.1f} times as wide"
        return f"{feature} keeps its level and spread, and not its shape"


def compare(known: Sketch, ordered: NDArray[np.float64]) -> Movement:
    """How the window's values, float64 [n] ascending, lie against the reference's: see `Movement`."""
    places = np.round(known.probabilities * (len(ordered) - 1)).astype(np.int64)
    inner = np.clip(ordered[places], -_MOST, _MOST)
    with np.errstate(over="ignore"):  # by a very small standard deviation; what overflows is told as a million
        off = np.clip((inner - known.inner) / known.sd, -_MOST_SD, _MOST_SD)
    before, now = _slope(known.inner, known.normal), _slope(inner, known.normal)
    return Movement(
        shift=float(off.mean()),
        distance=float(np.abs(off).mean()),
        spread=min(now / before, _MOST_SD) if before > 0.0 else 1.0,
        factor=_factor(known.inner, inner),
    )


def _slope(values: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    """How many times as wide as a standard normal variable; the normal quantiles are symmetric around 0."""
    return float(((values - values[len(values) // 2]) * normal).sum() / (normal * normal).sum())


def _factor(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """The power of ten by which all inner quantiles differ; 1.0 when there is none."""
    ratio = float(np.abs(now).sum()) / (float(np.abs(before).sum()) or math.inf)
    if not 1.0 / _MOST_FACTOR < ratio < _MOST_FACTOR:
        return 1.0
    power = 10.0 ** round(math.log10(ratio))
    misfit = float(np.abs(now - power * before).sum() / np.abs(now).sum())
    return power if misfit <= _UNIT_TOLERANCE else 1.0
