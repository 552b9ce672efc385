"""The Kolmogorov-Smirnov test of a window of numbers against a sketch of quantiles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fairlead.significance.distributions import kolmogorov_survival

__all__ = ["curve_at_quantiles", "kolmogorov_smirnov"]


def curve_at_quantiles(ordered: NDArray[np.float64], quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The window's cumulative shares at the quantiles: of all that agree with the window, those nearest to the sketch.

    A value q is a p-quantile when at most p of the rows are below it and at least p are not above it. Where many rows
    equal q the window's curve jumps there, and any share within the jump agrees with it: the one nearest to p is
    taken. So neither ties nor the few quantiles of a sketch ever make a difference where there is none.

    Args:
        ordered: float64 [n], the window's finite values, ascending; at least one.
        quantiles: float64 [k], ascending, at evenly spaced probabilities from 0 to 1.

    Returns:
        float64 [k], ascending shares.

    >>> curve_at_quantiles(np.array([0.0, 0.0, 0.0, 2.0]), np.array([0.0, 0.0, 1.0])).tolist()
    [0.0, 0.5, 0.75]
    """
    probabilities = np.linspace(0.0, 1.0, len(quantiles))
    below = np.searchsorted(ordered, quantiles, side="left") / len(ordered)
    up_to = np.searchsorted(ordered, quantiles, side="right") / len(ordered)
    return np.minimum(np.maximum(probabilities, below), up_to)


def kolmogorov_smirnov(curve: NDArray[np.float64], observed_rows: float, reference_rows: float) -> tuple[float, float]:
    """The greatest distance of the two cumulative curves at the quantiles, and how often chance alone gives as much.

    It is looked for at the quantiles alone, since between them a sketch says nothing; it is never above that of the
    full samples, so that the p-value errs to the quiet side.

    Args:
        curve: float64 [k], from `curve_at_quantiles`.
        observed_rows: of the window; fewer where rows resemble each other.
        reference_rows: of the reference, likewise.

    Returns:
        The distance and the p-value, both from 0 to 1.

    Source: N. V. Smirnov, "Table for estimating the goodness of fit of empirical distributions", Annals of
    Mathematical Statistics 19 (1948), 279-281: for two samples n is replaced by n m / (n + m).

    >>> deciles = np.linspace(0.0, 1.0, 11)
    >>> distance, p_value = kolmogorov_smirnov(curve_at_quantiles(np.linspace(0.1, 1.0, 901), deciles), 901, 10_000)
    >>> round(distance, 3), f"{p_value:.1e}"
    (0.099, '1.9e-07')
    """
    distance = float(np.abs(curve - np.linspace(0.0, 1.0, len(curve))).max())
    both = 1.0 / (1.0 / observed_rows + 1.0 / reference_rows)
    return distance, kolmogorov_survival(math.sqrt(both) * distance)
