"""The population stability index: how far two sets of counts lie apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["psi", "psi_of_chance"]

_HALF_A_ROW = 0.5


def psi(reference: NDArray[np.float64], observed: NDArray[np.float64]) -> float:
    """The sum over the cells of (q - p) ln(q / p), p and q being the shares of the reference and of the window.

    It is the sum of the two Kullback-Leibler divergences. An empty cell counts as half a row, so that the index of a
    cell that came or went is large and finite.

    Args:
        reference: float64 [cells], rows of each cell; need not be whole.
        observed: float64 [cells], the same of the window.

    Source: H. Jeffreys, "An invariant form for the prior probability in estimation problems", Proceedings of the
    Royal Society A 186 (1946), 453-461; as a measure of stability, N. Siddiqi, "Credit Risk Scorecards" (2006).

    >>> round(psi(np.array([100.0, 100.0]), np.array([60.0, 40.0])), 4)
    0.0405
    >>> psi(np.array([3.0, 5.0]), np.array([30.0, 50.0]))
    0.0
    """
    if reference.shape != observed.shape:
        told = f"counts of {reference.size} cells cannot be compared with counts of {observed.size}"
        raise FairleadError(Code.INVALID_ARGUMENT, told)
    p, q = _shares(reference), _shares(observed)
    return float(((q - p) * np.log(q / p)).sum())


def psi_of_chance(cells: int, reference_rows: float, observed_rows: float) -> float:
    """The index to be expected where nothing drifted: the noise of counting, which fixed limits mistake for drift.

    Source: B. Yurdakul, "Statistical properties of population stability index", Western Michigan University (2018):
    PSI / (1 / n + 1 / m) is about chi-squared with cells - 1 degrees of freedom.

    >>> round(psi_of_chance(10, 10_000, 100), 4)
    0.0909
    """
    return (cells - 1) * (1.0 / reference_rows + 1.0 / observed_rows)


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    filled = np.where(counts > 0.0, counts, _HALF_A_ROW)
    shares: NDArray[np.float64] = filled / filled.sum()
    return shares
