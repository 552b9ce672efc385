"""A table of pandas' as tensors, a column each, with what its types say of the values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fairlead.conversion.sample import check_numbers
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import MISSING_TEXT, Column
from fairlead.servable.signature import Array

__all__ = ["categories_of", "described", "tensors_of"]


def tensors_of(sample: Any) -> dict[str, Array]:
    """The columns of a table as a model is asked them, by name: numbers in doubles, whole ones in int64, and texts.

    A category is a text. A number that is missing is NaN, a text `MISSING_TEXT`.

    Raises:
        FairleadError: INVALID_ARGUMENT naming a column of another type, or one with a number that is not finite.
    """
    if not len(sample):
        raise FairleadError(Code.INVALID_ARGUMENT, "the sample has no rows")
    return {str(name): _tensor(str(name), sample[name]) for name in sample.columns}


def described(sample: Any, categories: Mapping[str, Sequence[str]]) -> dict[str, Column]:
    """What values the columns of the table may have: missing ones where there are some in it.

    Args:
        sample: the table.
        categories: all texts of a column, of those that have no others.
    """
    return {
        str(name): Column(
            categories=tuple(categories.get(str(name), ())), may_be_missing=bool(sample[name].isna().any())
        )
        for name in sample.columns
    }


def categories_of(sample: Any) -> dict[str, list[str]]:
    """The texts that the table itself says there are, by column."""
    return {
        str(name): [str(category) for category in sample[name].cat.categories]
        for name in sample.columns
        if sample[name].dtype.name == "category"
    }


def _tensor(name: str, series: Any) -> Array:
    if series.dtype.name in ("category", "object", "string", "str"):
        return _texts(name, series)
    kind = series.dtype.kind
    if kind == "b" and not series.isna().any():
        return np.asarray(series, np.bool_)
    if kind in "iu" and not series.isna().any():
        return np.asarray(series, np.int64)
    if kind in "fiub":
        numbers = np.asarray(series.astype("float64"), np.float64)
        check_numbers(f"column {name!r} of the sample", numbers[~np.isnan(numbers)])
        return numbers
    raise FairleadError(
        Code.INVALID_ARGUMENT,
        f"column {name!r} of the sample holds {series.dtype}; numbers, categories and texts are taken",
    )


def _texts(name: str, series: Any) -> Array:
    is_category = series.dtype.name == "category"
    texts = [
        MISSING_TEXT if is_missing else str(value) if is_category else value
        for value, is_missing in zip(series.tolist(), series.isna().tolist(), strict=True)
    ]
    odd = [value for value in texts if not isinstance(value, str)]
    if odd:
        raise FairleadError(Code.INVALID_ARGUMENT, f"column {name!r} of the sample holds {odd[0]!r} among texts")
    return np.array(texts, object)
