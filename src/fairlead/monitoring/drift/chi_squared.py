"""The chi-squared test of a window's counts against the reference's, and its look at one cell at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.two_shares import fisher_exact
from fairlead.significance.distributions import chi_squared_survival

__all__ = ["chi_squared", "most_moved_cell", "pool_small_cells"]

# Cochran's limit is 5 where one alarm in twenty is allowed. Far out in the tail, where one in 10,000 is, twice as many
# rows are needed for the p-value to hold.
_LEAST_EXPECTED = 10.0
# Nearer than this the p-value of a cell, times the number of cells, says nothing.
_WORTH_EXACTNESS = 2.0


def chi_squared(reference: NDArray[np.float64], observed: NDArray[np.float64]) -> tuple[float, float]:
    """Pearson's statistic of the table of both rows of counts, and how often chance alone gives as much.

    Args:
        reference: float64 [cells], rows of each cell; need not be whole. No cell is empty in both.
        observed: float64 [cells], the same of the window.

    Returns:
        The statistic, and the p-value from 0 to 1; with fewer than two cells there is nothing to compare: 0.0, 1.0.

    Source: K. Pearson, "On the criterion that a given system of deviations ... can be reasonably supposed to have
    arisen from random sampling", Philosophical Magazine 50 (1900), 157-175.

    >>> statistic, p_value = chi_squared(np.array([900.0, 100.0]), np.array([80.0, 20.0]))
    >>> round(statistic, 3), round(p_value, 5)
    (9.354, 0.00223)
    """
    if len(reference) != len(observed):
        told = f"counts of {len(reference)} cells cannot be compared with counts of {len(observed)}"
        raise FairleadError(Code.INVALID_ARGUMENT, told)
    if len(reference) < 2:  # noqa: PLR2004 - a table of one column
        return 0.0, 1.0
    n, m = observed.sum(), reference.sum()
    off = observed / n - reference / m
    statistic = float((off * off / (observed + reference)).sum() * n * m)
    return statistic, chi_squared_survival(statistic, len(reference) - 1)


def most_moved_cell(reference: NDArray[np.float64], observed: NDArray[np.float64]) -> float:
    """How often chance alone moves any one cell as far as the one that moved furthest did.

    One category out of ten that moves is hidden from the chi-squared test by the nine that did not. Here each cell is
    held against all others by the exact test of two shares, and the least p-value times the number of cells is given.

    Args:
        reference: float64 [cells], rows of each cell; what is not whole is rounded.
        observed: float64 [cells], the same of the window.

    Source: C. E. Bonferroni, "Teoria statistica delle classi e calcolo delle probabilita" (1936), for the factor.

    >>> reference = np.full(10, 1000.0)
    >>> observed = np.array([150.0] + [850 / 9] * 9)
    >>> f"{chi_squared(reference, observed)[1]:.1e}, {most_moved_cell(reference, observed):.1e}"
    '3.9e-03, 3.3e-05'
    """
    if len(reference) < 2:  # noqa: PLR2004 - a table of one column
        return 1.0
    n, m = observed.sum(), reference.sum()
    together = (observed + reference) / (n + m)
    off = observed / n - reference / m
    z = np.abs(off) / np.sqrt(together * (1.0 - together) * (1.0 / n + 1.0 / m))
    far = np.flatnonzero(z > _WORTH_EXACTNESS)
    p_values = [
        fisher_exact(round(observed[cell]), round(n), round(reference[cell]), round(m)) for cell in far.tolist()
    ]
    return min(1.0, len(reference) * min(p_values, default=1.0))


def pool_small_cells(
    reference: NDArray[np.float64], observed: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same counts with all cells in which fewer than 10 rows are expected, of either, put into one.

    Were that one still too small, the next smallest cells join it. So no cell is empty in both, and the p-values of
    the tests above hold.

    Source: W. G. Cochran, "Some methods for strengthening the common chi-squared tests", Biometrics 10 (1954),
    417-451.

    >>> reference, observed = np.array([800.0, 180.0, 15.0, 5.0]), np.array([70.0, 25.0, 2.0, 3.0])
    >>> [counts.tolist() for counts in pool_small_cells(reference, observed)]
    [[800.0, 200.0], [70.0, 30.0]]
    """
    n, m = observed.sum(), reference.sum()
    expected = (observed + reference) * (min(n, m) / (n + m))
    order = np.argsort(-expected, kind="stable")
    kept = int(np.count_nonzero(expected >= _LEAST_EXPECTED))
    while 0 < kept < len(order) and expected[order[kept:]].sum() < _LEAST_EXPECTED:
        kept -= 1
    if kept == len(order):
        return reference, observed
    first, rest = order[:kept], order[kept:]
    return np.append(reference[first], reference[rest].sum()), np.append(observed[first], observed[rest].sum())
