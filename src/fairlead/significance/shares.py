"""The statistics the gate judges by: an interval around a share, and paired comparisons of two models."""

from __future__ import annotations

import math
from statistics import NormalDist

from fairlead.errors import Code, FairleadError

__all__ = ["mcnemar_worse", "paired_loss_bound", "wilson_interval"]

_HALVINGS = 40


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Where the true share plausibly lies when `successes` of `n` independent rows were right.

    Wilson's score interval keeps about its stated coverage near 0 and 1 and for small n, where the textbook
    interval (share plus or minus z standard errors) collapses to a point.

    Args:
        successes: rows that were right, from 0 to `n`.
        n: rows looked at; with none the answer is (0.0, 1.0), since nothing is known.
        confidence: two-sided coverage, above 0 and below 1.

    Returns:
        The lower and upper end, shares from 0 to 1.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927), 209-212.

    >>> low, high = wilson_interval(291, 300)
    >>> round(low, 4), round(high, 4)
    (0.944, 0.9841)
    >>> wilson_interval(0, 0)
    (0.0, 1.0)
    """
    if not 0 <= successes <= n:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{successes} successes of {n} rows cannot be")
    if not 0.0 < confidence < 1.0:
        raise FairleadError(Code.INVALID_ARGUMENT, f"confidence {confidence} is not between 0 and 1")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1.0 + confidence) / 2.0)
    share = successes / n
    center = share + z * z / (2 * n)
    half_width = z * math.sqrt(share * (1.0 - share) / n + z * z / (4 * n * n))
    scale = 1.0 + z * z / n
    return max(0.0, (center - half_width) / scale), min(1.0, (center + half_width) / scale)


def mcnemar_worse(b: int, c: int) -> float:
    """How often chance alone would favour the champion at least this much, were both models equally good.

    Rows on which both models are right, or both wrong, say nothing about which is better. On each of the others
    an equally good candidate is the right one with probability 1/2, so that p = P(Bin(b + c, 1/2) >= b), which by
    symmetry is the sum of C(b + c, j) for j from 0 to c, over 2 ** (b + c). The sum is kept in integers: the only
    rounding is that of the last division, and 20,000 such rows take some tens of milliseconds.

    Args:
        b: rows that only the champion gets right.
        c: rows that only the candidate gets right.

    Returns:
        The exact one-sided p-value, from 0 to 1; 1.0 when no row tells the models apart.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated proportions or
    percentages", Psychometrika 12 (1947), 153-157, with the binomial distribution in place of its normal
    approximation; for comparing classifiers, T. G. Dietterich, "Approximate statistical tests for comparing
    supervised classification learning algorithms", Neural Computation 10 (1998), 1895-1923.

    >>> mcnemar_worse(5, 0)
    0.03125
    >>> mcnemar_worse(9, 3)
    0.072998046875
    >>> mcnemar_worse(0, 0)
    1.0
    """
    if b < 0 or c < 0:
        raise FairleadError(Code.INVALID_ARGUMENT, f"counts of rows cannot be negative: b = {b}, c = {c}")
    n = b + c
    term = total = 1
    for j in range(c):
        term = term * (n - j) // (j + 1)
        total += term
    return total / (1 << n)


def paired_loss_bound(b: int, c: int, n: int, confidence: float = 0.95) -> float:
    """The largest loss of accuracy that n rows, answered by two models, do not rule out: one-sided.

    It is where the score test of "the candidate is right on that much less" begins to reject. It is above 0 even when
    no row tells the models apart: about 2.7 / n at 95 %.

    Args:
        b: rows that only the original gets right.
        c: rows that only the candidate gets right.
        n: all rows.
        confidence: how often the bound is to hold.

    Returns:
        A difference of shares, from -1 to 1.

    Source: T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17 (1998), 891-908.

    >>> round(paired_loss_bound(0, 0, 10_000), 5)
    0.00027
    >>> paired_loss_bound(5, 5, 10_000) < 0.001 < paired_loss_bound(25, 5, 10_000)
    True
    """
    if min(b, c) < 0 or n < 1 or b + c > n:
        raise FairleadError(Code.INVALID_ARGUMENT, f"b = {b} and c = {c} are not counts among n = {n} rows")
    z = NormalDist().inv_cdf(confidence)
    low, high = (b - c) / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _loss_score(b, c, n, middle) > -z:
            low = middle
        else:
            high = middle
    return high


def _loss_score(b: int, c: int, n: int, loss: float) -> float:
    """By how many standard errors the observed loss exceeds `loss`, were that the true one."""
    # The likeliest share of rows that only the candidate gets right solves 2n q^2 + linear q - c loss (1 - loss) = 0.
    linear = loss * (2 * n - b + c) - (b + c)
    share = (math.sqrt(max(0.0, linear**2 + 8 * n * c * loss * (1 - loss))) - linear) / (4 * n)
    variance = n * (2 * share + loss * (1 - loss))
    return (b - c - n * loss) / math.sqrt(variance) if variance > 0 else -math.inf
