"""What values a named column of a table may have: named in the model's own file, and checked at every request.

It is in the file's metadata, so that whoever opens the file, for whatever protocol, checks the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["MISSING_TEXT", "Column", "columns_in", "set_columns"]

MISSING_TEXT: Final = ""
"""A text that is missing, in protocols that have no null; a number that is missing is NaN."""

_MARKERS: Final[Mapping[str, float | str]] = {"string": MISSING_TEXT} | dict.fromkeys(
    ("float16", "float32", "float64"), float("nan")
)
_KEY: Final = "fairlead.columns"
_SHOWN_CHARS: Final = 80
_SHOWN_CATEGORIES: Final = 20
_FEW: Final = 32
"""Of so many values, a loop is done before NumPy has begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What values there may be.

    Attributes:
        categories: all texts that there are, in the order that the model knows them by; empty where any text is taken.
        minimum, maximum: of numbers, both inclusive; None for no bound.
        may_be_missing: whether a value may be.
    """

    categories: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    may_be_missing: bool = False
    _known: frozenset[object] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(set(self.categories)) != len(self.categories) or MISSING_TEXT in self.categories:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"the categories {list(self.categories)[:_SHOWN_CATEGORIES]} have one twice, or ''",
            )
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if not np.isfinite(bounds).all() or bounds != sorted(bounds):
            raise FairleadError(Code.INVALID_ARGUMENT, f"nothing is from {self.minimum} to {self.maximum}")
        object.__setattr__(self, "_known", frozenset(self.categories))

    @property
    def bounds(self) -> tuple[float, float]:
        """The least and the greatest number; infinite where there is no bound."""
        return -math.inf if self.minimum is None else self.minimum, math.inf if self.maximum is None else self.maximum

    def check(self, name: str, array: NDArray[Any], *, tells_row: bool = True) -> None:
        """Raise INVALID_ARGUMENT naming the column `name` unless `array`, a value a row, has only such values.

        Args:
            name: of the column.
            array: the values.
            tells_row: whether the row of the first bad one is said.
        """
        kind = array.dtype.kind
        if kind == "O":
            if self.categories:
                self._check_texts(name, array.ravel().tolist(), tells_row=tells_row)
        elif kind == "f" or (kind in "iu" and (self.minimum is not None or self.maximum is not None)):
            if array.size > _FEW and self._are_fine(array):
                return
            self._check_numbers(name, array.ravel().tolist(), tells_row=tells_row)

    def takes(self, other: Column) -> bool:
        """Whether all values that `other` may have are fine here."""
        return (
            (not self.categories or (bool(other.categories) and set(other.categories) <= set(self.categories)))
            and (self.may_be_missing or not other.may_be_missing)
            and (self.minimum is None or (other.minimum is not None and self.minimum <= other.minimum))
            and (self.maximum is None or (other.maximum is not None and self.maximum >= other.maximum))
        )

    def missing(self, name: str, row: int | None, dtype: str) -> float | str:
        """What stands for the value that is not there, in a row to be said or None, in a tensor of this dtype.

        Raises:
            FairleadError: INVALID_ARGUMENT where it has to be there.
        """
        if not self.may_be_missing or dtype not in _MARKERS:
            raise self._lacks(name, row)
        return _MARKERS[dtype]

    def fill(self, name: str, values: list[Any], dtype: str) -> list[Any]:
        """The values of `name`, a row each, with what stands for a missing one in place of None; see `missing`."""
        return [self.missing(name, row, dtype) if value is None else value for row, value in enumerate(values)]

    @property
    def shown(self) -> str:
        """What values there may be, for people; empty when there is nothing to tell."""
        parts = [f"{len(self.categories)} categories"] if self.categories else []
        parts += [self._range] if self.minimum is not None or self.maximum is not None else []
        return ", ".join([*parts, "may be missing"] if self.may_be_missing else parts)

    def _lacks(self, name: str, row: int | None) -> FairleadError:
        return FairleadError(
            Code.INVALID_ARGUMENT,
            f"column {name!r} is missing{_in(row)}, and the model knows no missing values of it",
            hint="leave the row out, or publish the model with a sample that has missing values there",
        )

    def _check_texts(self, name: str, texts: list[Any], *, tells_row: bool) -> None:
        known = self._known
        for row, text in enumerate(texts):
            if text not in known:
                if text != MISSING_TEXT:
                    raise self._unknown(name, row if tells_row else None, text)
                if not self.may_be_missing:
                    raise self._lacks(name, row if tells_row else None)

    def _check_numbers(self, name: str, numbers: list[Any], *, tells_row: bool) -> None:
        least, most = self.bounds
        for row, number in enumerate(numbers):
            if number != number:  # noqa: PLR0124 - NaN
                if not self.may_be_missing:
                    raise self._lacks(name, row if tells_row else None)
            elif not least <= number <= most or abs(number) == np.inf:
                where = _in(row if tells_row else None)
                raise FairleadError(
                    Code.INVALID_ARGUMENT, f"column {name!r} is {number:.6g}{where}, and the model takes {self._range}"
                )

    def _are_fine(self, array: NDArray[Any]) -> bool:
        return bool(
            np.isfinite(array).all()
            and (self.minimum is None or array.min() >= self.minimum)
            and (self.maximum is None or array.max() <= self.maximum)
        )

    def _unknown(self, name: str, row: int | None, text: object) -> FairleadError:
        shown = ", ".join(map(repr, self.categories[:_SHOWN_CATEGORIES]))
        more = len(self.categories) - _SHOWN_CATEGORIES
        return FairleadError(
            Code.INVALID_ARGUMENT,
            f"column {name!r} is {str(text)[:_SHOWN_CHARS]!r}{_in(row)}, which is none of its categories",
            hint=f"they are {shown}" + (f" and {more} more, which GET /models lists" if more > 0 else ""),
        )

    @property
    def _range(self) -> str:
        if self.minimum is None:
            return "finite numbers" if self.maximum is None else f"numbers up to {self.maximum:g}"
        return f"numbers from {self.minimum:g} on" if self.maximum is None else f"{self.minimum:g} to {self.maximum:g}"

    def to_json(self) -> dict[str, Any]:
        """What is said of it; the rest is not written."""
        said = {"categories": list(self.categories) or None, "minimum": self.minimum, "maximum": self.maximum}
        return {name: value for name, value in said.items() if value is not None} | {
            "may_be_missing": self.may_be_missing
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Column:
        bounds = {name: float(data[name]) for name in ("minimum", "maximum") if name in data}
        return Column(
            categories=tuple(str(category) for category in data.get("categories", ())),
            minimum=bounds.get("minimum"),
            maximum=bounds.get("maximum"),
            may_be_missing=bool(data["may_be_missing"]),
        )


def _in(row: int | None) -> str:
    return "" if row is None else f" in row {row}"


def columns_in(metadata: Mapping[str, str]) -> dict[str, Column]:
    """The columns that a model's metadata describes, by the names of its inputs; none where it describes none.

    Raises:
        FairleadError: DATA_LOSS when they cannot be read.
    """
    text = metadata.get(_KEY)
    if text is None:
        return {}
    try:
        return {str(name): Column.from_json(data) for name, data in json.loads(text).items()}
    except FairleadError as error:
        raise FairleadError(Code.DATA_LOSS, f"the model's columns cannot be read: {error.message}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FairleadError(
            Code.DATA_LOSS, f"the model's columns cannot be read: {type(error).__name__}: {error}"
        ) from error


def set_columns(path: Path, columns: Mapping[str, Column]) -> None:
    """Describe the columns that the ONNX file at `path` takes. Needs the `onnx` library."""
    from onnx import load, save_model  # noqa: PLC0415 - an optional library

    model = load(str(path), load_external_data=False)
    entry = model.metadata_props.add()
    entry.key = _KEY
    entry.value = json.dumps({name: column.to_json() for name, column in columns.items()}, ensure_ascii=False)
    save_model(model, str(path))
