"""Where an axis begins and ends: at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["ceiling_above", "floor_below"]


def ceiling_above(values: Sequence[float]) -> float:
    """A round number that no value exceeds.

    >>> ceiling_above([0.0, 37.0]), ceiling_above([]), ceiling_above([0.0013])
    (40.0, 1.0, 0.002)
    """
    highest = max((value for value in values if math.isfinite(value)), default=0.0)
    if highest <= 0.0:
        return 1.0
    return _round_above(highest, (1, 2, 4, 6, 8, 10))


def floor_below(values: Sequence[float]) -> float:
    """Where a vertical axis may begin so that one sees how values far from 0 differ: a round distance below its end.

    >>> floor_below([0.93, 0.97]), floor_below([0.741, 1.0]), floor_below([0.2, 2.1]), floor_below([])
    (0.92, 0.6, 0.0, 0.0)
    """
    low, high = min(values, default=0.0), max(values, default=0.0)
    if low <= high / 2:
        return min(0.0, low)
    top = ceiling_above(values)
    return float(f"{top - _round_above(max(top - low, top / 100), (1, 2, 4, 8, 10)):.6g}")


def _round_above(value: float, factors: Sequence[int]) -> float:
    """The least of the factors, by a power of ten, that `value`, above 0, does not exceed."""
    step = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{factor * step:.6g}") for factor in factors if factor * step >= value * (1 - 1e-9))
