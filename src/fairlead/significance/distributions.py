"""Tails of distributions, far out as exact as near: how often chance alone goes at least this far."""

from __future__ import annotations

import math

import numpy as np

from fairlead.errors import Code, FairleadError

__all__ = ["chi_squared_survival", "kolmogorov_survival"]

# On either side of it two or three terms of one series are enough, and the other one would cancel.
_KOLMOGOROV_TURN = 1.0
_KOLMOGOROV_TERMS = 6
# So small a distance that what is below it is less than the smallest float.
_KOLMOGOROV_LEAST = 0.04


def chi_squared_survival(x: float, df: int) -> float:
    """P(X > x) for a chi-squared variable with `df` degrees of freedom.

    For a whole number of degrees of freedom the tail is a finite sum of positive terms: Poisson's for even ones, and
    for odd ones the same between the whole numbers, after erfc(sqrt(x / 2)). Nothing cancels, so that the relative
    error stays below 1e-9 for p-values down to 1e-290 and up to 10,000 degrees of freedom.

    Args:
        x: the statistic; at or below 0 the answer is 1.0.
        df: degrees of freedom, at least 1.

    Source: M. Abramowitz and I. A. Stegun, "Handbook of Mathematical Functions" (1964), 26.4.4 and 26.4.5.

    >>> round(chi_squared_survival(16.918977604620448, 9), 12)
    0.05
    >>> chi_squared_survival(0.0, 3)
    1.0
    """
    if df < 1:
        raise FairleadError(Code.INVALID_ARGUMENT, f"a chi-squared variable needs a degree of freedom, not {df}")
    if math.isnan(x):
        raise FairleadError(Code.INVALID_ARGUMENT, "a chi-squared statistic is a number, not nan")
    half, start = x / 2.0, 0.5 * (df % 2)
    if half <= 0.0:
        return 1.0
    if math.isinf(half):
        return 0.0
    below = math.erfc(math.sqrt(half)) if df % 2 else 0.0
    return min(1.0, below + _poisson_sum(half, start, (df + 1) // 2 - (df % 2)))


def _poisson_sum(mean: float, start: float, terms: int) -> float:
    """The sum of exp(-mean) mean^j / gamma(j + 1) over `terms` values of j from `start` in steps of one."""
    if terms == 0:
        return 0.0
    first = start * math.log(mean) - mean - math.lgamma(start + 1.0)
    ratios = np.log(mean / (start + np.arange(1, terms)))
    logs = first + np.concatenate(([0.0], np.cumsum(ratios)))
    greatest = float(logs.max())
    return math.exp(greatest + math.log(float(np.exp(logs - greatest).sum())))


def kolmogorov_survival(x: float) -> float:
    """P(K > x) for Kolmogorov's distribution, the law of sqrt(n) times the greatest distance of two curves.

    The relative error is below 1e-9 wherever the answer is at least 1e-300.

    Args:
        x: the distance times the square root of the number of rows; at or below 0 the answer is 1.0.

    Source: A. N. Kolmogorov, "Sulla determinazione empirica di una legge di distribuzione", Giornale dell'Istituto
    Italiano degli Attuari 4 (1933), 83-91; the second series, for small x, is its theta transform.

    >>> round(kolmogorov_survival(1.3580986), 6)
    0.05
    >>> kolmogorov_survival(0.0)
    1.0
    """
    if math.isnan(x):
        raise FairleadError(Code.INVALID_ARGUMENT, "a Kolmogorov statistic is a number, not nan")
    if x <= _KOLMOGOROV_LEAST:
        return 1.0
    terms = range(1, _KOLMOGOROV_TERMS + 1)
    if x >= _KOLMOGOROV_TURN:
        return 2.0 * math.fsum((-1) ** (j - 1) * math.exp(-2.0 * j * j * x * x) for j in terms)
    below = math.fsum(math.exp(-(((2 * j - 1) * math.pi / x) ** 2) / 8.0) for j in terms)
    return 1.0 - math.sqrt(2.0 * math.pi) / x * below
