"""The two statistics the gate judges by: an interval around a share, and a paired test of two models."""

from __future__ import annotations

import math
from statistics import NormalDist

from fairlead.errors import Code, FairleadError

__all__ = ["mcnemar_worse", "wilson_interval"]


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
