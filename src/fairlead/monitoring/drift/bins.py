"""The bins over which a numeric feature's values are counted: deciles, unless many rows share a value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bins", "bins"]

_DECILES = 10
# Narrower ones hold too few rows of a small window for their p-values to hold.
_LEAST_SHARE = 0.075


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """What parts the bins.

    Within a run of equal quantiles a sketch cannot part the rows, and beside it it knows the share only to the next
    quantile. There an edge is the gap between two quantiles; elsewhere it is one quantile, named twice.

    Attributes:
        lower, upper: int64 [edges], the places of the quantiles on either side of each edge.
        parts: float64 [edges], the cumulative share of the reference at each edge.
        probabilities: float64 [k], of the quantiles.
    """

    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    parts: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    @property
    def reference(self) -> NDArray[np.float64]:
        """The reference's shares: nothing below its least value, the bins, nothing above its greatest."""
        return np.concatenate(([0.0], np.diff(self.parts, prepend=0.0, append=1.0), [0.0]))

    def observed(self, curve: NDArray[np.float64]) -> NDArray[np.float64]:
        """The window's shares in the same cells, by its curve at the quantiles: float64 [edges + 3].

        At a gap only what is below its lower end, or above its upper one, is a difference.
        """
        short = np.minimum(curve[self.lower] - self.probabilities[self.lower], 0.0)
        beyond = np.maximum(curve[self.upper] - self.probabilities[self.upper], 0.0)
        is_gap = self.lower != self.upper
        at = np.where(is_gap, self.parts + short + beyond, curve[self.lower])
        at = np.clip(np.maximum.accumulate(at), curve[0], curve[-1])  # a gap after an edge may lag behind it
        return np.diff(np.concatenate(([0.0, curve[0]], at, [curve[-1], 1.0])))


def bins(quantiles: NDArray[np.float64]) -> Bins:
    """The bins of a sketch: float64 [k], ascending.

    Both sides of a value that many rows have are edges, those of the most frequent ones first, and then the deciles,
    as long as no bin gets less than 7.5 % of the reference.

    >>> bins(np.linspace(0.0, 1.0, 11)).parts.round(1).tolist()
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    >>> half_zeros = np.concatenate([np.zeros(51), np.arange(1.0, 51.0)])
    >>> bins(half_zeros).parts.round(3).tolist()
    [0.505, 0.6, 0.7, 0.8, 0.9]
    """
    probabilities = np.linspace(0.0, 1.0, len(quantiles))
    kept: dict[float, tuple[int, int]] = {}
    for lower, upper in _candidates(quantiles):
        part = float(probabilities[lower] + probabilities[upper]) / 2.0
        if all(abs(part - other) >= _LEAST_SHARE for other in (0.0, 1.0, *kept)):
            kept[part] = lower, upper
    parts = sorted(kept)
    edges = np.array([kept[part] for part in parts], dtype=np.int64).reshape(-1, 2)
    return Bins(lower=edges[:, 0], upper=edges[:, 1], parts=np.array(parts), probabilities=probabilities)


def _candidates(quantiles: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The places on either side of each edge that would do, the most telling first."""
    last = len(quantiles) - 1
    _, starts, lengths = np.unique(quantiles, return_index=True, return_counts=True)
    runs = sorted(
        ((int(start), int(start + length - 1)) for start, length in zip(starts, lengths, strict=True) if length > 1),
        key=lambda run: run[0] - run[1],
    )
    beside = [gap for start, end in runs for gap in ((start - 1, start), (end, end + 1))]
    gaps = [(low, high) for low, high in beside if low >= 0 and high <= last]
    tied = {place for start, end in runs for place in range(start, end + 1)}
    deciles = np.round(np.linspace(0, last, _DECILES + 1)).astype(np.int64)[1:-1].tolist()
    return gaps + [(place, place) for place in deciles if place not in tied]
