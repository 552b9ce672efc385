"""Tests that may be read after every observation: each returns evidence that chance alone seldom makes large.

An e-process starts at 1 and, as long as its null hypothesis holds, is at no time expected to exceed 1. By Ville's
inequality the chance that it ever reaches 1 / alpha is at most alpha, however often one looks and whenever one stops.
Everything here is kept as a logarithm, together with the largest value so far, which a later good spell cannot undo.

Source: A. Ramdas, P. Grünwald, V. Vovk and G. Shafer, "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 38 (2023), 576-601.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.outcome_blocks import MAX_PENDING, OutcomeBlocks

__all__ = ["Share", "TwoSample", "log_share_evidence"]

# The pseudo-counts with the least worst-case loss of evidence for two shares: Turner, Ly and Grünwald, as below.
_PRIOR = 0.18

# How many times the candidate's odds of a good outcome may be worse: from hardly to hopelessly.
_LOG_ODDS = np.log([1.1, 1.3, 1.7, 2.5, 5.0, 12.0])
_LOG_PARTS = np.log([0.5, *[0.5 / len(_LOG_ODDS)] * len(_LOG_ODDS)])


def log_share_evidence(hits: int, n: int, null: float) -> float:
    """The logarithm of the evidence that a share exceeds `null`, after `hits` in `n` independent trials.

    It is the likelihood averaged evenly over all shares from `null` to 1, over the likelihood at `null`. With
    `null` = 1/2 and the pairs that tell two models apart as trials it is the exact sequential McNemar test.

    Args:
        hits: trials that hit, from 0 to `n`.
        n: trials so far.
        null: the largest share that is fine, above 0 and below 1.

    Source: H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals of Mathematical
    Statistics 41 (1970), 1397-1409, with the average taken over one side.

    >>> round(math.exp(log_share_evidence(9, 9, 0.5)), 1)
    102.3
    >>> round(math.exp(log_share_evidence(5, 10, 0.5)), 3)
    0.369
    """
    if not 0 <= hits <= n or not 0.0 < null < 1.0:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{hits} hits of {n} against a share of {null} cannot be")
    log_beta = math.lgamma(hits + 1) + math.lgamma(n - hits + 1) - math.lgamma(n + 2)
    log_null = hits * math.log(null) + (n - hits) * math.log1p(-null)
    return log_beta - log_null + _log_at_most(hits, n + 1, null) - math.log1p(-null)


def _log_at_most(k: int, n: int, p: float) -> float:
    """The logarithm of P(Bin(n, p) <= k) for k < n, summed from its largest term outwards."""
    if k >= n * p:
        upper = math.exp(_log_binomial(k + 1, n, p)) * _series(n - k - 1, k + 2, p / (1.0 - p))
        return math.log1p(-min(upper, 0.75))  # above the mean the tail is below 3/4; a rounding must not pass it
    return _log_binomial(k, n, p) + math.log(_series(k, n - k + 1, (1.0 - p) / p))


def _log_binomial(k: int, n: int, p: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways + k * math.log(p) + (n - k) * math.log1p(-p)


def _series(left: int, below: int, odds: float) -> float:
    """1 + r1 + r1 r2 + ... over the binomial terms that lie further out, each ratio left / below x odds."""
    total = term = 1.0
    while left > 0 and term > total * 1e-17:
        term *= left / below * odds
        total += term
        left, below = left - 1, below + 1
    return total


@dataclass(slots=True, kw_only=True)
class Share:
    """Whether a share exceeds `null`, watched trial by trial.

    Attributes:
        null: the largest share that is fine.
        n, hits: trials so far, and those that hit.
        peak: the largest logarithm of the evidence so far.

    >>> slower = Share(null=0.5)
    >>> slower.add(np.ones(9, np.bool_))
    >>> slower.reached(alpha=0.01)
    True
    """

    null: float
    n: int = 0
    hits: int = 0
    peak: float = 0.0

    def add(self, hits: NDArray[np.bool_]) -> None:
        """Fold trials in, in order; the evidence rises at hits only, so only they are looked at."""
        for position in np.flatnonzero(hits).tolist():
            self.hits += 1
            self.peak = max(self.peak, log_share_evidence(self.hits, self.n + position + 1, self.null))
        self.n += len(hits)

    @property
    def log_e(self) -> float:
        """The logarithm of the evidence now."""
        return log_share_evidence(self.hits, self.n, self.null)

    def reached(self, alpha: float) -> bool:
        """Whether the evidence was ever worth a false alarm rate of `alpha`."""
        return self.peak >= -math.log(alpha)

    def to_json(self) -> dict[str, Any]:
        return {"null": self.null, "n": self.n, "hits": self.hits, "peak": self.peak}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        return cls(**document)


@dataclass(slots=True, kw_only=True)
class TwoSample:
    """Whether the candidate's share of good outcomes is below the stable version's, on different requests.

    Outcomes are judged in blocks: one of the scarcer arm with its due of the other, as the weight gives them (one of
    the candidate and nine of the stable version at 10 %). On each block seven bets are placed: one on the shares seen
    before it, and six on a fixed ratio of odds between the arms. The evidence is the mean of what they have won, half
    of it the first bet's. The first learns any pair of shares; learning costs it evidence, which the others save
    where their ratio is about right: at 10 % a fall from 0.90 to 0.80 takes 146 labels of the candidate in the middle
    instead of 172.

    A bet pays on average at most 1 for any two shares of which the candidate's is not the smaller, also when both
    wander together from block to block. A block holds predictions of one weight only: what changes with a step (the
    hour, the age of the labels that have come) is the same for both arms of a block. Its shape follows from the
    weight and the order in which the arms came, never from outcomes.

    Attributes:
        stable_n, stable_good, candidate_n, candidate_good: outcomes in blocks so far.
        log_e: the logarithm of what each bet has won.
        peak: the largest logarithm of their mean so far.
        periods: by weight, the outcomes still waiting for their block.

    Source: R. Turner, A. Ly and P. Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for
    optional stopping", Journal of Statistical Planning and Inference 230 (2024), 106116.

    >>> accuracy = TwoSample()
    >>> candidate = np.arange(400) % 10 == 9
    >>> accuracy.add(0.1, candidate, good=~candidate)
    >>> accuracy.candidate_n, accuracy.reached(alpha=0.01)
    (40, True)
    """

    stable_n: int = 0
    stable_good: int = 0
    candidate_n: int = 0
    candidate_good: int = 0
    log_e: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1 + len(_LOG_ODDS)))
    peak: float = 0.0
    periods: dict[float, OutcomeBlocks] = field(default_factory=dict)

    def add(self, weight: float, candidate: NDArray[np.bool_], good: NDArray[np.bool_]) -> None:
        """Fold outcomes in, in order. Many at once give exactly what one at a time would.

        Args:
            weight: the candidate's planned share when the predictions were routed, above 0; at 1 there is nothing to
                compare with.
            candidate: shape (n,), whose outcome each is.
            good: shape (n,), the outcomes.
        """
        if weight >= 1.0 or not len(good):
            return
        period = self.periods.setdefault(weight, OutcomeBlocks(weight=weight))
        overflows = len(period.good) + len(good) > MAX_PENDING
        if overflows and len(good) > 1 and not period.lacks_an_arm(candidate):
            half = len(good) // 2
            self.add(weight, candidate[:half], good[:half])
            self.add(weight, candidate[half:], good[half:])
            return
        period.append(candidate, good)
        self._bet(period.take())
        period.trim()

    def _bet(self, blocks: NDArray[np.int64]) -> None:
        if not len(blocks):
            return
        start = (self.stable_n, self.stable_good, self.candidate_n, self.candidate_good)
        totals = np.cumsum(np.concatenate((np.array([start], np.int64), blocks)), axis=0)
        paths = np.cumsum(np.concatenate((self.log_e[np.newaxis], _gains(totals[:-1], blocks))), axis=0)
        self.log_e, self.peak = paths[-1], max(self.peak, float(np.logaddexp.reduce(paths + _LOG_PARTS, axis=1).max()))
        self.stable_n, self.stable_good, self.candidate_n, self.candidate_good = totals[-1].tolist()

    def reached(self, alpha: float) -> bool:
        """Whether the evidence was ever worth a false alarm rate of `alpha`."""
        return self.peak >= -math.log(alpha)

    def to_json(self) -> dict[str, Any]:
        return {
            "counts": [self.stable_n, self.stable_good, self.candidate_n, self.candidate_good],
            "log_e": self.log_e.tolist(),
            "peak": self.peak,
            "periods": [period.to_json() for period in self.periods.values()],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        stable_n, stable_good, candidate_n, candidate_good = document["counts"]
        periods = [OutcomeBlocks.from_json(period) for period in document["periods"]]
        return cls(
            stable_n=stable_n,
            stable_good=stable_good,
            candidate_n=candidate_n,
            candidate_good=candidate_good,
            log_e=np.array(document["log_e"]),
            peak=document["peak"],
            periods={period.weight: period for period in periods},
        )


def _gains(before: NDArray[np.int64], blocks: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each block adds to the logarithm of each bet, given the totals before it: shape (blocks, bets)."""
    stable, candidate = _seen(before[:, 1], before[:, 0]), _seen(before[:, 3], before[:, 2])
    learnt = np.where(candidate < stable, _log_ratios(blocks, stable, candidate), 0.0)
    both = _seen(before[:, 1] + before[:, 3], before[:, 0] + before[:, 2])
    middle, of_candidate = np.log(both / (1.0 - both)), blocks[:, 2] / (blocks[:, 0] + blocks[:, 2])
    fixed = [
        _log_ratios(
            blocks, _logistic(middle + log_odds * of_candidate), _logistic(middle - log_odds * (1 - of_candidate))
        )
        for log_odds in _LOG_ODDS.tolist()
    ]
    return np.stack((learnt, *fixed), axis=1)


def _seen(good: NDArray[np.int64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = (good + _PRIOR) / (n + 2 * _PRIOR)
    return share


def _logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    share: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-x))
    return share


def _log_ratios(
    blocks: NDArray[np.int64], stable: NDArray[np.float64], candidate: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The likelihood of each block when the shares are these two, over that when both are their mean in the block."""
    n_stable, good_stable, n_candidate, good_candidate = blocks.T
    null = (n_stable * stable + n_candidate * candidate) / (n_stable + n_candidate)
    sides = ((n_stable, good_stable, stable), (n_candidate, good_candidate, candidate))
    ratios: NDArray[np.float64] = sum(
        good * np.log(share / null) + (n - good) * np.log((1.0 - share) / (1.0 - null)) for n, good, share in sides
    )
    return ratios
