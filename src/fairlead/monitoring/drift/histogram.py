"""A feature's reference and its values now, counted over the same bins, to be drawn. It judges nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.monitoring.drift.reference import Column, NumericReference, finite_numbers

__all__ = ["Histogram", "histogram"]

_SAMPLE = 2_000
_TAIL = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Shares by bin.

    Attributes:
        edges: float64 [bins + 1], ascending.
        reference, current: float64 [bins], each 1 in all, or 0 where there are no values. What lies beyond the ends is
            in the outermost bins.
    """

    edges: NDArray[np.float64]
    reference: NDArray[np.float64]
    current: NDArray[np.float64]


def histogram(reference: NumericReference, values: Column, *, bins: int = 24) -> Histogram:
    """Count both over bins of equal width, from the least to the greatest of what either usually is.

    >>> shown = histogram(NumericReference(name="ink", quantiles=tuple(range(0, 101)), rows=1000), [90.0] * 50, bins=4)
    >>> shown.edges.round().tolist(), shown.reference.round(2).tolist(), shown.current.tolist()
    ([0.0, 25.0, 50.0, 75.0, 100.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.0, 1.0])
    """
    quantiles = np.array(reference.quantiles)
    places = (np.arange(_SAMPLE) + 0.5) / _SAMPLE
    before = np.interp(places, np.linspace(0.0, 1.0, len(quantiles)), quantiles)
    now = finite_numbers(values)
    usual = np.quantile(now, [_TAIL, 1.0 - _TAIL]) if len(now) else quantiles[[0, -1]]
    low, high = min(float(quantiles[0]), float(usual[0])), max(float(quantiles[-1]), float(usual[1]))
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    return Histogram(edges=edges, reference=_shares(before, edges), current=_shares(now, edges))


def _shares(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    shares: NDArray[np.float64] = counts / max(1, len(values))
    return shares
