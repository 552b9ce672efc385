"""Whether a share in the window differs from the reference's: exact, since nulls and new categories are few."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["fisher_exact", "never_seen"]

_NONE: NDArray[np.float64] = np.empty(0)
_HALF_A_ROW = 0.5  # counts that were shares are whole but for rounding
_MOST_LOG = 700.0  # of the tail that is not used: exp(710) is no float


def fisher_exact(observed: int, observed_rows: int, reference: int, reference_rows: int) -> float:
    """How often chance alone parts two equal shares at least this far, in either direction.

    Given how many such rows there are in both together, their number in the window is hypergeometric. The p-value is
    twice the smaller tail, at most 1.

    Args:
        observed: such rows of the window.
        observed_rows: all its rows.
        reference: such rows of the reference.
        reference_rows: all its rows.

    Source: R. A. Fisher, "The logic of inductive inference", Journal of the Royal Statistical Society 98 (1935),
    39-82.

    >>> f"{fisher_exact(4, 1000, 0, 10_000):.1e}"
    '1.4e-04'
    >>> fisher_exact(0, 1000, 0, 10_000)
    1.0
    """
    if not (0 <= observed <= observed_rows and 0 <= reference <= reference_rows):
        told = f"{observed} of {observed_rows} rows, {reference} of {reference_rows} in the reference: this cannot be"
        raise FairleadError(Code.INVALID_ARGUMENT, told)
    both = observed + reference
    at = _log_chance(observed, observed_rows, both, reference_rows)
    up = np.arange(observed, min(both, observed_rows))
    ratios_up = (both - up) * (observed_rows - up) / ((up + 1.0) * (reference_rows - both + up + 1.0))
    down = np.arange(observed, max(0, both - reference_rows), -1)
    ratios_down = down * (reference_rows - both + down) / ((both - down + 1.0) * (observed_rows - down + 1.0))
    # Beyond the side on which the observed number lies the ratios are all below 1, and only the smaller tail is used.
    tails = [_tail(ratios) for ratios in (ratios_up, ratios_down)]
    return min(1.0, 2.0 * math.exp(at) * min(tails))


def never_seen(
    observed: float, observed_rows: float, reference_rows: float, others: NDArray[np.float64] = _NONE
) -> float:
    """How often chance alone hides from the reference what the window has so many rows of.

    Were a kind of row as common in both, each of its rows would be in the window with the chance n / (n + m), and all x
    of them with that chance to the power of x. Every other kind could have been hidden instead, the rare ones most
    easily: the answer is how many kinds with at least as many rows chance is expected to hide, at most 1.

    Args:
        observed: rows of that kind in the window; there is none in the reference.
        observed_rows: all rows of the window.
        reference_rows: all rows of the reference.
        others: float64 [kinds], of every other kind the rows of the window and of the reference together.

    >>> f"{never_seen(3, 1000, 10_000):.1e}, {never_seen(3, 1000, 1000):.2f}"
    '7.5e-04, 0.12'
    >>> f"{never_seen(3, 1000, 10_000, np.array([9000.0, 3.0, 4.0])):.1e}"
    '1.6e-03'
    """
    chance = observed_rows / (observed_rows + reference_rows)
    hidden = float((chance ** others[others > observed - _HALF_A_ROW]).sum())
    return min(1.0, float(chance**observed) + hidden)


def _log_chance(observed: int, observed_rows: int, both: int, reference_rows: int) -> float:
    return (
        _log_choose(observed_rows, observed)
        + _log_choose(reference_rows, both - observed)
        - _log_choose(observed_rows + reference_rows, both)
    )


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _tail(ratios: NDArray[np.float64]) -> float:
    return 1.0 + float(np.exp(np.minimum(np.cumsum(np.log(ratios)), _MOST_LOG)).sum())
