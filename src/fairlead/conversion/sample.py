"""What a model is asked to prove it: rows in the form that its framework takes, looked at before anybody is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Array, Tensors

__all__ = ["answered_in_parts", "check_numbers", "columns_of", "is_frame", "rows_of", "texts_of"]

_MOST_ROWS = 256
"""That a network is asked at once: what it holds between its layers may be many times its input."""


def is_frame(sample: Any) -> bool:
    """Whether it is a table of pandas', which is not imported to find out."""
    return any(kind.__module__.partition(".")[0] == "pandas" for kind in type(sample).__mro__) and hasattr(
        sample, "columns"
    )


def rows_of(sample: Any) -> Array | Mapping[str, Array]:
    """The sample as an array, or as arrays of the same length by name; a table as its columns, NaN for what is missing.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is neither, has no rows, or holds a number that is not finite.
    """
    if is_frame(sample) or isinstance(sample, Mapping):
        named = columns_of(sample)
        for name, array in named.items():
            if not is_frame(sample):
                check_numbers(f"input {name!r}", array)
            elif array.dtype.kind == "f":  # a table's columns say where a number is missing
                check_numbers(f"column {name!r} of the sample", array[~np.isnan(array)])
        _check_lengths(named)
        return named
    array = np.asarray(sample)
    if array.ndim == 0:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the sample is a {type(sample).__name__}, which has no rows",
            hint="give it rows: an array, a DataFrame, a list of texts, or arrays by the names of the inputs",
        )
    _check_lengths({"sample": array})
    check_numbers("the sample", array)
    return array


def columns_of(sample: Any) -> dict[str, Array]:
    """The columns of a table, or the arrays of a mapping, by their names."""
    return {str(name): np.asarray(sample[name]) for name in sample}


def check_numbers(what: str, array: Array) -> None:
    """Raise INVALID_ARGUMENT when there is a number in `array` that is not finite, which no protocol lets through."""
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        row = int(np.argwhere(~finite)[0][0])
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{what} holds {array[row].ravel()[~finite[row].ravel()][0]} in row {row}, which no caller can send",
            hint="give rows without missing values",
        )


def texts_of(array: Array) -> Array:
    """The array with its values as texts, as a tensor of strings has them.

    Raises:
        FairleadError: INVALID_ARGUMENT naming the first value that is none.
    """
    for value in array.ravel().tolist():
        if not isinstance(value, str):
            raise FairleadError(Code.INVALID_ARGUMENT, f"the sample holds {value!r} among texts")
    return np.asarray(array, object)


def answered_in_parts(inputs: Tensors, ask: Callable[[Tensors], Mapping[str, Any]]) -> dict[str, Array]:
    """What `ask` says of all rows of `inputs`, some of them at a time."""
    rows = len(next(iter(inputs.values())))
    parts = [
        ask({name: array[start : start + _MOST_ROWS] for name, array in inputs.items()})
        for start in range(0, rows, _MOST_ROWS)
    ]
    return {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}


def _check_lengths(named: Mapping[str, Array]) -> None:
    lengths = {name: len(array) if array.ndim else 0 for name, array in named.items()}
    if not lengths or 0 in lengths.values():
        raise FairleadError(Code.INVALID_ARGUMENT, "the sample has no rows")
    if len(set(lengths.values())) > 1:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"the arrays of the sample differ in their number of rows: {lengths}"
        )
