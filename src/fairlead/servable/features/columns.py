"""Features of rows of numbers: each value by itself, or what sums up a long row."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from fairlead.servable.signature import Array, Tensors, TensorSpec

__all__ = ["RESERVED", "ColumnFeatures", "SummaryFeatures", "row_values"]

RESERVED = ("predicted", "confidence")
"""Names that drift gives to what the model said; an input of that name is called `input.NAME`."""


def row_values(spec: TensorSpec) -> int | None:
    """How many values a row of this tensor has; None when that differs from row to row."""
    return None if spec.is_unranked or -1 in spec.shape[1:] else math.prod(spec.shape[1:])


class ColumnFeatures:
    """Each value is a feature.

    The values of a lone tensor with more than one a row are `x0`, `x1` ...; those of one among several are `NAME0`,
    `NAME1` ...; a tensor of one value a row gives its own name. Of a text that is one of a column's categories, the
    feature is its place among them, and NaN where it is missing; of another string, its length in characters.

    Args:
        specs: tensors whose rows have a fixed number of values.

    Attributes:
        categories: what the places mean, of those features that are some.
    """

    def __init__(self, specs: tuple[TensorSpec, ...]) -> None:
        self._specs = specs
        self._codes: list[dict[object, float]] = [_codes(spec) for spec in specs]
        names = [_names(spec, is_lone=len(specs) == 1) for spec in specs]
        self.names = tuple(itertools.chain.from_iterable(names))
        self._ends = list(itertools.accumulate(map(len, names)))
        self.categories = {
            own[0]: spec.column.categories
            for own, spec in zip(names, specs, strict=True)
            if spec.column is not None and spec.column.categories
        }

    def measure(self, inputs: Tensors) -> NDArray[np.float32]:
        if len(self._specs) == 1 and not self._codes[0]:
            return _numbers(inputs[self._specs[0].name])
        found = np.empty((len(inputs[self._specs[0].name]), len(self.names)), np.float32)
        start = 0
        with np.errstate(all="ignore"):
            for spec, codes, end in zip(self._specs, self._codes, self._ends, strict=True):
                array = inputs[spec.name]
                if codes:
                    found[:, start] = [codes.get(text, math.nan) for text in array.ravel().tolist()]
                elif array.dtype.kind == "O":
                    found[:, start:end] = _numbers(array)
                elif array.ndim == 1:
                    found[:, start] = array
                else:
                    found[:, start:end] = array.reshape(len(array), end - start)
                start = end
        return found


class SummaryFeatures:
    """Mean, standard deviation, smallest, largest and the share of zeros of a row's values.

    Args:
        name: the input's.
    """

    names = ("mean", "std", "min", "max", "zeros")

    def __init__(self, name: str) -> None:
        self._name = name

    def measure(self, inputs: Tensors) -> NDArray[np.float32]:
        flat = _numbers(inputs[self._name])
        if not flat.size:
            return np.full((len(flat), len(self.names)), np.nan, np.float32)
        found = np.empty((len(self.names), len(flat)), np.float32)
        with np.errstate(all="ignore"):
            found[0] = flat.mean(axis=1)
            found[1] = flat.std(axis=1)
        flat.min(axis=1, out=found[2])
        flat.max(axis=1, out=found[3])
        found[4] = (flat == 0).mean(axis=1)
        return found.T


def _codes(spec: TensorSpec) -> dict[object, float]:
    """The place of each category; none where there are no categories."""
    categories = spec.column.categories if spec.column is not None else ()
    return {category: float(code) for code, category in enumerate(categories)}


def _names(spec: TensorSpec, *, is_lone: bool) -> tuple[str, ...]:
    if spec.dtype == "string" and math.prod(spec.shape[1:]) == 1 and not _codes(spec):
        return (f"{spec.name}.length",)
    if math.prod(spec.shape[1:]) == 1:
        return (f"input.{spec.name}" if spec.name in RESERVED else spec.name,)
    stem = "x" if is_lone else spec.name
    return tuple(f"{stem}{number}" for number in range(math.prod(spec.shape[1:])))


def _numbers(array: Array) -> NDArray[np.float32]:
    """float32 [n, values]. What float32 cannot hold is infinite; what is no number is NaN."""
    flat = array.reshape(len(array), -1)
    if flat.dtype == object:
        return np.array([[_length(value) for value in row] for row in flat], np.float32).reshape(flat.shape)
    with np.errstate(all="ignore"):
        return flat.astype(np.float32, copy=False)


def _length(value: object) -> float:
    return float(len(value)) if isinstance(value, str | bytes) else math.nan
