"""Which columns a model's inputs are made of, and how values become its tensors."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.batch.source import Decoded, Reject
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.json_array import quick_array
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec

__all__ = ["Columns", "check_rows", "decode", "find_columns", "keep_good", "row_size"]

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Where one input is found.

    Attributes:
        spec: the input.
        names: the one column that holds all its values, or one column for each value.
        is_whole: whether it is the one.
    """

    spec: TensorSpec
    names: tuple[str, ...]
    is_whole: bool


def row_size(spec: TensorSpec) -> int:
    """How many values a row of this tensor has."""
    return math.prod(spec.shape[1:])


def check_rows(signature: Signature) -> None:
    """Raise UNIMPLEMENTED unless rows can be run together: each input a batch of rows of one shape."""
    for spec in signature.inputs:
        if spec.is_unranked or spec.shape[:1] != (-1,) or -1 in spec.shape[1:]:
            raise FairleadError(
                Code.UNIMPLEMENTED,
                f"input {spec.name!r} has the shape {list(spec.shape)}: a batch needs rows of one fixed shape",
            )


def find_columns(signature: Signature, names: Sequence[str], where: str) -> tuple[Columns, ...]:
    """The columns of each input: one of its own name, else one a value, `x0`, `x1` ..., of several `NAME0` ...

    Raises:
        FairleadError: INVALID_ARGUMENT naming the column that is missing, with those that are there.
    """
    return tuple(
        _find(spec, names, where, "x" if len(signature.inputs) == 1 else spec.name) for spec in signature.inputs
    )


def _find(spec: TensorSpec, names: Sequence[str], where: str, stem: str) -> Columns:
    if names.count(spec.name) == 1:
        return Columns(spec=spec, names=(spec.name,), is_whole=True)
    each = tuple(f"{stem}{number}" for number in range(row_size(spec)))
    there = set(names)
    missing = [name for name in each if name not in there]
    if each and not missing:
        return Columns(spec=spec, names=each, is_whole=False)
    what = repr(missing[0]) if 0 < len(missing) < len(each) else repr(spec.name)
    shown = ", ".join(map(repr, names[:_SHOWN])) or "none"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise FairleadError(
        Code.INVALID_ARGUMENT,
        f"{where} has {'two columns' if spec.name in there else 'no column'} {what}",
        hint=f"its columns are {shown}{more}; the model takes {spec.name!r}, or {each[0]!r} to {each[-1]!r}"
        if each
        else f"its columns are {shown}{more}",
    )


def decode(signature: Signature, values: Sequence[Sequence[Any] | str], first: int) -> Decoded:
    """Rows of values, as JSON has them, as tensors. Nothing is coerced: a number in quotes is none.

    Args:
        signature: whose inputs they are.
        values: for each row one value for each input, or what is wrong with the row.
        first: the number of the first one.
    """
    rejects = [Reject(row=first + place, reason=row) for place, row in enumerate(values) if isinstance(row, str)]
    good = [place for place, row in enumerate(values) if not isinstance(row, str)]
    tensors = _tensors(signature, [values[place] for place in good]) if good else _empty(signature)
    if tensors is None:
        reasons = {place: _fault(signature, values[place]) for place in good}
        rejects += [Reject(row=first + place, reason=reason) for place, reason in reasons.items() if reason]
        good = [place for place in good if not reasons[place]]
        tensors = _tensors(signature, [values[place] for place in good]) if good else _empty(signature)
    rows = np.array(good, np.int64) + first
    return keep_good(signature, Decoded(rows=rows, tensors=tensors or {}, rejects=tuple(rejects)))


def keep_good(signature: Signature, decoded: Decoded) -> Decoded:
    """Reject the rows with a number that is not finite in its input's dtype: the answer to it means nothing.

    Of columns those with a value that the column does not take; see `servable.column`.
    """
    kept = np.ones(len(decoded.rows), np.bool_)
    rejects: list[Reject] = []
    for spec in signature.inputs:
        faults = _faults(spec, decoded.tensors[spec.name]) if decoded.tensors else {}
        new = {place: reason for place, reason in faults.items() if kept[place]}
        rejects += [Reject(row=int(decoded.rows[place]), reason=reason) for place, reason in new.items()]
        kept[list(new)] = False
    if not rejects:
        return decoded
    return replace(
        decoded,
        rows=decoded.rows[kept],
        tensors={name: array[kept] for name, array in decoded.tensors.items()},
        rejects=(*decoded.rejects, *rejects),
    )


def _faults(spec: TensorSpec, array: Array) -> dict[int, str]:
    """What is wrong with the values of an input, by the place of the row."""
    if spec.column is None:
        if array.dtype.kind != "f" or not len(array):
            return {}
        is_bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        reason = f"input {spec.name!r} holds a number that is not finite in {array.dtype}"
        return dict.fromkeys(np.flatnonzero(is_bad).tolist(), reason)
    try:
        spec.column.check(spec.name, array)
    except FairleadError:
        reasons = ((place, _refusal(spec, spec.column, array[place : place + 1])) for place in range(len(array)))
        return {place: reason for place, reason in reasons if reason}
    return {}


def _refusal(spec: TensorSpec, column: Column, value: Array) -> str:
    """What the column says against the value of one row; nothing when it takes it."""
    try:
        column.check(spec.name, value, tells_row=False)
    except FairleadError as error:
        return error.message
    return ""


def _tensors(signature: Signature, rows: Sequence[Sequence[Any]]) -> Tensors | None:
    """The inputs; None when a row is not as they are."""
    found: dict[str, Array] = {}
    for spec, values in zip(signature.inputs, zip(*rows, strict=True), strict=True):
        try:
            array = _array(spec, list(values))
        except FairleadError:  # a column lacks a value that has to be there
            return None
        if array is None:
            return None
        found[spec.name] = array
    return found


def _array(spec: TensorSpec, values: list[Any]) -> Array | None:
    """The values as this tensor, each row nested as it is, or flat, or a lone value."""
    shapes = dict.fromkeys([spec.shape, (-1, row_size(spec)), *([(-1,)] if row_size(spec) == 1 else [])])
    for shape in shapes:
        form = replace(spec, shape=shape)
        array = quick_array(form, values)
        if array is not None and form.admits(array.shape) and _is_text(array):
            return array.reshape(len(values), *spec.shape[1:])
    return None


def _is_text(array: NDArray[Any]) -> bool:
    """Whether strings are ones that UTF-8 can write; of numbers it is true."""
    try:
        return array.dtype.kind != "O" or all(text.encode() is not None for text in array.flat)
    except UnicodeEncodeError:
        return False


def _fault(signature: Signature, row: Sequence[Any] | str) -> str:
    """What is wrong with a row; empty when nothing is."""
    for spec, value in zip(signature.inputs, row, strict=True):
        if value is None and spec.column is not None:
            try:
                spec.column.missing(spec.name, None, spec.dtype)
            except FairleadError as error:
                return error.message
        elif _array(spec, [value]) is None:
            return f"input {spec.name!r} is {reprlib.repr(value)}, no {spec.dtype} of shape {list(spec.shape[1:])}"
    return ""


def _empty(signature: Signature) -> Tensors:
    return {spec.name: np.empty((0, *spec.shape[1:]), spec.numpy_dtype) for spec in signature.inputs}
