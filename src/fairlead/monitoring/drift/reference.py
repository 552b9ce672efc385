"""What a feature looked like when the model was judged, in as few numbers as drift can be told from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["CategoricalReference", "Column", "NumericReference", "categories", "finite_numbers", "numbers_or_nan"]

Column = Sequence[float | str | None] | NDArray[np.float64]
"""One feature's values, a row each. None, nan and, where numbers are due, whatever is no finite number are nulls."""

_LEAST_QUANTILES = 11
_SHARES_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericReference:
    """A numeric feature, by its quantiles.

    With 11 of them a change is seen only where it moves a share of the rows across a decile. 101 see much more, above
    all where many rows have the same value.

    Attributes:
        name: the feature.
        quantiles: at least 11 finite values, ascending, at evenly spaced probabilities from 0 (the least value) to 1
            (the greatest).
        rows: how many rows it describes, nulls among them.
        null_share: the share of them that had no value.
    """

    name: str
    quantiles: tuple[float, ...]
    rows: int
    null_share: float = 0.0

    def __post_init__(self) -> None:
        _require(self.name, self.rows, self.null_share)
        if len(self.quantiles) < _LEAST_QUANTILES:
            told = f"reference {self.name!r} has {len(self.quantiles)} quantiles, and at least 11 are needed"
            raise FairleadError(Code.INVALID_ARGUMENT, told)
        if not all(map(math.isfinite, self.quantiles)) or list(self.quantiles) != sorted(self.quantiles):
            told = f"the quantiles of reference {self.name!r} are not finite numbers in ascending order"
            raise FairleadError(Code.INVALID_ARGUMENT, told)

    @classmethod
    def describe(cls, name: str, values: Column, *, quantiles: int = 101) -> Self:
        """The reference of these rows.

        Raises:
            FairleadError: INVALID_ARGUMENT when no row has a finite value.

        >>> ages = NumericReference.describe("age", [20.0, 30.0, None, 50.0], quantiles=11)
        >>> ages.quantiles[0], ages.quantiles[5], ages.quantiles[10], ages.rows, ages.null_share
        (20.0, 30.0, 50.0, 4, 0.25)
        """
        numbers = finite_numbers(values)
        if not len(numbers):
            raise FairleadError(Code.INVALID_ARGUMENT, f"none of the {len(values)} rows has a number for {name!r}")
        points = np.quantile(numbers, np.linspace(0.0, 1.0, quantiles))
        return cls(
            name=name,
            quantiles=tuple(np.maximum.accumulate(points).tolist()),  # interpolation may step back by a rounding
            rows=len(values),
            null_share=1.0 - len(numbers) / len(values),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoricalReference:
    """A categorical feature, by the share of each category.

    Attributes:
        name: the feature.
        shares: by category, its share of the rows that had one; together 1.
        rows: how many rows it describes, nulls among them.
        null_share: the share of them that had no category.
    """

    name: str
    shares: Mapping[str, float]
    rows: int
    null_share: float = 0.0

    def __post_init__(self) -> None:
        _require(self.name, self.rows, self.null_share)
        is_whole = abs(sum(self.shares.values()) - 1.0) <= _SHARES_TOLERANCE
        if not is_whole or not all(0.0 <= share <= 1.0 for share in self.shares.values()):
            told = f"the shares of reference {self.name!r} are not from 0 to 1 and together 1: {dict(self.shares)}"
            raise FairleadError(Code.INVALID_ARGUMENT, told)

    @classmethod
    def describe(cls, name: str, values: Column) -> Self:
        """The reference of these rows.

        Raises:
            FairleadError: INVALID_ARGUMENT when no row has a category.

        >>> CategoricalReference.describe("colour", ["red", "red", None, "blue", "red"]).shares
        {'red': 0.75, 'blue': 0.25}
        """
        counts = categories(values)
        if not counts:
            raise FairleadError(Code.INVALID_ARGUMENT, f"none of the {len(values)} rows has a category for {name!r}")
        total = counts.total()
        return cls(
            name=name,
            shares={category: count / total for category, count in counts.items()},
            rows=len(values),
            null_share=1.0 - total / len(values),
        )


def numbers_or_nan(values: Column) -> NDArray[np.float64]:
    """The values as float64, nan where there is no finite number; text that reads as a number is one.

    >>> numbers_or_nan([1, None, "2.5", "n/a", float("inf")]).tolist()
    [1.0, nan, 2.5, nan, nan]
    """
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.array([_number(value) for value in values], dtype=np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def finite_numbers(values: Column) -> NDArray[np.float64]:
    """The finite numbers among the values, in their order.

    >>> finite_numbers([1, None, "2.5", "n/a", float("inf")]).tolist()
    [1.0, 2.5]
    """
    numbers = numbers_or_nan(values)
    return numbers[~np.isnan(numbers)]


def categories(values: Column) -> Counter[str]:
    """How often each category occurs; a number is the category of its shortest text, 3.0 that of 3.

    >>> categories(["red", None, 3, 3.0, float("nan")])
    Counter({'3': 2, 'red': 1})
    """
    counts = Counter(values.tolist() if isinstance(values, np.ndarray) else values)
    named: Counter[str] = Counter()
    for value, count in counts.items():
        if isinstance(value, str):
            named[value] += count
        elif value is not None and not math.isnan(value):
            named[f"{value:.15g}"] += count
    return named


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # what is no number is what is asked here
    except (TypeError, ValueError):
        return math.nan


def _require(name: str, rows: int, null_share: float) -> None:
    if rows < 1:
        raise FairleadError(Code.INVALID_ARGUMENT, f"reference {name!r} describes {rows} rows")
    if not 0.0 <= null_share <= 1.0:
        raise FairleadError(Code.INVALID_ARGUMENT, f"null share {null_share} of reference {name!r} is not from 0 to 1")
