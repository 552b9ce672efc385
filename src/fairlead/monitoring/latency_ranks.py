"""Whether the candidate answers more slowly than the stable version does at the same time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["LatencyRanks"]

# How many times as likely as a stable one a candidate's answer is to be the next slowest, were the candidate slow.
# From slightly to hopelessly; the evidence is the mean over them, so a wrong guess costs a factor of four at most.
_ODDS = np.array([1.5, 3.0, 10.0, 100.0])

# Blocks hold about four answers of the scarcer arm: fewer say little, more keep a slow version waiting.
_SCARCER_PER_BLOCK = 4
_MAX_BLOCK = 100


@dataclass(slots=True, kw_only=True)
class LatencyRanks:
    """An e-process on which arm's answers are the slowest among neighbours in time.

    Answers are taken in blocks of consecutive requests. Within a block they are put in order from the slowest, and as
    many places from the top as there are candidate's answers are looked at. Since chance assigned the arms, an equally
    fast candidate holds each place with the probability of its share of those that are left. That is exact whatever
    latencies look like: a stall or a rush hour slows both arms of its block, and makes nothing look like evidence.
    Comparing with the stable version's 95th percentile instead would take each answer of one stall for a separate
    piece of evidence.

    Attributes:
        ratio: a candidate this many times as slow is still accepted; its latencies are divided by it.
        blocks: blocks so far.
        log_e: one logarithm of the evidence for each degree of slowness looked for.
        peak: the largest logarithm of their mean so far.
        weight: the weight of the block that is being filled.
        pending: its answers so far, as (candidate's, latency in microseconds).

    Source: J. ter Schure, M. F. Perez-Ortiz, A. Ly and P. Grünwald, "The anytime-valid logrank test: error control
    under continuous monitoring with unlimited horizon", New England Journal of Statistics in Data Science 2 (2024),
    190-214: the same product of ratios, over places in the order instead of over deaths.

    >>> ranks = LatencyRanks(ratio=1.0)
    >>> candidate = np.arange(80) % 10 == 9
    >>> ranks.add(0.1, candidate, np.where(candidate, 9_000, 1_000))
    >>> ranks.reached(alpha=0.01)
    True
    """

    ratio: float
    blocks: int = 0
    log_e: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(_ODDS)))
    peak: float = 0.0
    weight: float = 0.0
    pending: list[tuple[bool, int]] = field(default_factory=list)

    def add(self, weight: float, candidate: NDArray[np.bool_], latency_us: NDArray[np.int64]) -> None:
        """Fold answers in, in order. Many at once give exactly what one at a time would.

        Args:
            weight: the candidate's planned share when they were routed, above 0. Another weight begins a new block.
            candidate: shape (n,), who answered.
            latency_us: shape (n,), of answers that were no failures.
        """
        if weight >= 1.0 or not len(candidate):
            return
        if weight != self.weight:
            self.weight, self.pending = weight, []
        size = _block_size(weight)
        if len(self.pending) + len(candidate) < size:
            self.pending += zip(candidate.tolist(), latency_us.tolist(), strict=True)
            return
        candidate = np.concatenate((np.array([who for who, _ in self.pending], np.bool_), candidate))
        latency_us = np.concatenate((np.array([us for _, us in self.pending], np.int64), latency_us))
        whole = len(candidate) // size * size
        self._bet(candidate[:whole].reshape(-1, size), latency_us[:whole].reshape(-1, size))
        self.pending = list(zip(candidate[whole:].tolist(), latency_us[whole:].tolist(), strict=True))

    def _bet(self, candidate: NDArray[np.bool_], latency_us: NDArray[np.int64]) -> None:
        slowness = np.where(candidate, -latency_us / self.ratio, -latency_us)
        order = np.argsort(slowness, axis=1, kind="stable")
        gains = _gains(np.take_along_axis(candidate, order, axis=1))
        paths = np.cumsum(np.concatenate((self.log_e[np.newaxis], gains)), axis=0)
        self.log_e, self.blocks = paths[-1], self.blocks + len(candidate)
        self.peak = max(self.peak, float(_log_mean(paths).max()))

    def reached(self, alpha: float) -> bool:
        """Whether the evidence was ever worth a false alarm rate of `alpha`."""
        return self.peak >= -math.log(alpha)

    def to_json(self) -> dict[str, Any]:
        return {
            "ratio": self.ratio,
            "blocks": self.blocks,
            "log_e": self.log_e.tolist(),
            "peak": self.peak,
            "weight": self.weight,
            "pending": [[int(who), us] for who, us in self.pending],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        pending = [(bool(who), us) for who, us in document["pending"]]
        return cls(**{**document, "log_e": np.array(document["log_e"]), "pending": pending})


def _block_size(weight: float) -> int:
    return min(_MAX_BLOCK, round(_SCARCER_PER_BLOCK / min(weight, 1.0 - weight)))


def _gains(is_candidate: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each block, ordered from the slowest answer, adds to each logarithm: shape (blocks, odds)."""
    size = is_candidate.shape[1]
    candidates = is_candidate.sum(axis=1, keepdims=True)
    places = max(1, int(candidates.max()))
    top = is_candidate[:, :places]
    left = size - np.arange(places)
    candidates_left = candidates - np.cumsum(top, axis=1) + top
    looked_at = np.arange(places) < candidates
    gains = [_place_gains(top, candidates_left, left, odds) for odds in _ODDS.tolist()]
    # A running sum adds in one order; `sum` would group by how many places there are, and differ in the last bit.
    return np.stack([np.cumsum(np.where(looked_at, gain, 0.0), axis=1)[:, -1] for gain in gains], axis=1)


def _place_gains(
    top: NDArray[np.bool_], candidates_left: NDArray[np.int64], left: NDArray[np.int64], odds: float
) -> NDArray[np.float64]:
    share = left / (left + (odds - 1.0) * candidates_left)
    gains: NDArray[np.float64] = np.log(np.where(top, odds * share, share))
    return gains


def _log_mean(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.logaddexp.reduce(logs, axis=1) - math.log(logs.shape[1])
    return mean
