"""The world in which drift is simulated: thirty features of a table, quiet until somebody changes one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.monitoring.drift.reference import CategoricalReference, NumericReference

__all__ = ["FEATURES", "REFERENCE_ROWS", "Columns", "autoregressive", "correlated_windows", "table_windows"]

REFERENCE_ROWS = 10_000
_NEW_REFERENCE_EVERY = 20

Columns = dict[str, NDArray[np.float64] | list[str | None]]
References = list[NumericReference | CategoricalReference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column: a law for its values and a share of nulls."""

    name: str
    law: Callable[[np.random.Generator, int], NDArray[np.float64]] | None = None
    shares: tuple[float, ...] = ()
    null_share: float = 0.0

    def draw(self, rng: np.random.Generator, rows: int) -> NDArray[np.float64] | list[str | None]:
        """That many rows; the categories are numbered."""
        if self.law is not None:
            values = self.law(rng, rows)
            if self.null_share:
                values[rng.random(rows) < self.null_share] = np.nan
            return values
        places = np.searchsorted(np.cumsum(self.shares[:-1]), rng.random(rows), side="right")
        names = [str(place) for place in range(len(self.shares))]
        return [names[place] for place in places.tolist()]


def _zipf(categories: int) -> tuple[float, ...]:
    weights = 1.0 / np.arange(1, categories + 1)
    return tuple((weights / weights.sum()).tolist())


def _tenth_and(others: int) -> tuple[float, ...]:
    return (0.1, *[0.9 / others] * others)


def _zero_often(rng: np.random.Generator, rows: int) -> NDArray[np.float64]:
    return np.where(rng.random(rows) < 0.6, 0.0, rng.exponential(3.0, rows))  # noqa: PLR2004 - three rows of five


FEATURES = (
    *(Feature(name=f"level {place}", law=lambda rng, rows: rng.standard_normal(rows)) for place in range(12)),
    *(Feature(name=f"amount {place}", law=lambda rng, rows: rng.lognormal(3.0, 1.0, rows)) for place in range(3)),
    *(Feature(name=f"wait {place}", law=lambda rng, rows: rng.exponential(20.0, rows)) for place in range(2)),
    Feature(name="phase", law=lambda rng, rows: rng.uniform(0.0, 1.0, rows)),
    Feature(name="count", law=lambda rng, rows: rng.poisson(20.0, rows).astype(np.float64)),
    Feature(name="visits", law=lambda rng, rows: rng.poisson(1.2, rows).astype(np.float64)),
    Feature(name="spent", law=_zero_often),
    Feature(name="age", law=lambda rng, rows: rng.normal(40.0, 12.0, rows).round(), null_share=0.05),
    Feature(name="sex", shares=(0.48, 0.52)),
    Feature(name="plan", shares=(0.6, 0.3, 0.1)),
    Feature(name="channel", shares=_tenth_and(4)),
    Feature(name="region", shares=_tenth_and(9)),
    Feature(name="label", shares=(0.1,) * 10),
    Feature(name="letter", shares=_zipf(26)),
    Feature(name="word", shares=_zipf(400)),
    Feature(name="flag", shares=(0.995, 0.005)),
)


def _references(rng: np.random.Generator, quantiles: int) -> References:
    columns = _draw(rng, REFERENCE_ROWS)
    return [
        NumericReference.describe(feature.name, columns[feature.name], quantiles=quantiles)
        if feature.law
        else CategoricalReference.describe(feature.name, columns[feature.name])
        for feature in FEATURES
    ]


def _draw(rng: np.random.Generator, rows: int) -> Columns:
    return {feature.name: feature.draw(rng, rows) for feature in FEATURES}


def table_windows(
    rng: np.random.Generator, windows: int, rows: int, quantiles: int = 101
) -> Iterator[tuple[References, Columns]]:
    """Quiet windows, each with the references to judge it by, which are drawn anew every twenty windows."""
    known: References = []
    for window in range(windows):
        if window % _NEW_REFERENCE_EVERY == 0:
            known = _references(rng, quantiles)
        yield known, _draw(rng, rows)


def correlated_windows(rng: np.random.Generator, windows: int, rows: int) -> Iterator[tuple[References, Columns]]:
    """Quiet windows of normal features any two of which have a correlation of one half."""

    def columns(rows: int) -> Columns:
        alike = rng.standard_normal((rows, len(FEATURES))) + rng.standard_normal((rows, 1))
        return {feature.name: column for feature, column in zip(FEATURES, alike.T, strict=True)}

    known: References = []
    for window in range(windows):
        if window % _NEW_REFERENCE_EVERY == 0:
            known = [NumericReference.describe(name, values) for name, values in columns(REFERENCE_ROWS).items()]
        yield known, columns(rows)


def autoregressive(rng: np.random.Generator, phi: float, rows: int, features: int) -> NDArray[np.float64]:
    """Streams in which each row is `phi` times the one before, and noise: float64 [rows, features] of variance 1."""
    noise: NDArray[np.float64] = rng.standard_normal((rows, features)) * np.sqrt(1.0 - phi * phi)
    state = rng.standard_normal(features)
    for row in range(rows):
        state = phi * state + noise[row]
        noise[row] = state
    return noise
