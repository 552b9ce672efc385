"""From what a program has at hand to the tensors that a model takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from fairlead.client.question import ModelMetadata
from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Array, Tensors, TensorSpec

__all__ = ["Inputs", "tensors_of"]

Row = Mapping[Any, Any]
Inputs = ArrayLike | Mapping[str, ArrayLike] | Sequence[Row]
"""The only input of a model, or inputs by name, or rows of a table, each with its values by column."""


def tensors_of(inputs: Inputs, metadata: ModelMetadata) -> Tensors:
    """`inputs` as the arrays that the model takes.

    Numbers become the model's dtype where NumPy calls that a conversion of the same kind and no whole number changes. A
    single text is a batch of one.

    Raises:
        FairleadError: INVALID_ARGUMENT when that cannot be. Shapes are left to the server.
    """
    specs = {spec.name: spec for spec in metadata.inputs}
    if isinstance(inputs, Mapping):
        _check_names(inputs.keys(), specs, metadata.name, "inputs")
        return {name: _tensor(spec, inputs[name]) for name, spec in specs.items()}
    if _are_rows(inputs):
        for number, row in enumerate(inputs):
            _check_names(row.keys(), specs, metadata.name, f"row {number}")
        return {name: _tensor(spec, [_cell(spec, row[name]) for row in inputs]) for name, spec in specs.items()}
    if len(specs) > 1:
        raise _invalid(
            f"model {metadata.name!r} takes {len(specs)} inputs: {', '.join(specs)}",
            hint="give them by name, {name: array, ...}, or rows of a table, [{name: value, ...}, ...]",
        )
    return {name: _tensor(spec, inputs) for name, spec in specs.items()}


def _are_rows(inputs: object) -> TypeGuard[Sequence[Row]]:
    return isinstance(inputs, Sequence) and bool(inputs) and all(isinstance(row, Mapping) for row in inputs)


def _check_names(given: Any, specs: Mapping[str, TensorSpec], model: str, where: str) -> None:
    if missing := [name for name in specs if name not in given]:
        raise _invalid(f"{where}: {missing[0]!r} is not there", hint="None stands for a missing value of a column")
    if more := [name for name in given if name not in specs]:
        raise _invalid(f"{where}: model {model!r} takes no {more[0]!r}", hint=f"it takes {', '.join(specs)}")


def _cell(spec: TensorSpec, value: Any) -> Any:
    """The value of a column in a row; what stands for a missing one is NaN among numbers, and an empty text."""
    is_missing = value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN, which pandas gives
    if not is_missing:
        return value
    if spec.dtype == "string":
        return ""
    if spec.numpy_dtype.kind == "f":
        return np.nan
    raise _invalid(f"column {spec.name!r} is missing in a row, and the model takes {spec.dtype}, which knows no such")


def _tensor(spec: TensorSpec, value: Any) -> Array:
    array = _texts(spec, value) if spec.dtype == "string" else _numbers(spec, value)
    is_column = len(spec.shape) == 2 and spec.shape[1] == 1  # noqa: PLR2004 - one value a row
    return array.reshape(-1, 1) if is_column and array.ndim == 1 else array


def _texts(spec: TensorSpec, value: Any) -> Array:
    array = np.atleast_1d(np.asarray(value, object))
    for item in array.flat:
        if not isinstance(item, str | bytes):
            raise _invalid(f"input {spec.name!r} takes texts, not {type(item).__name__}")
    return array


def _numbers(spec: TensorSpec, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise _invalid(f"input {spec.name!r} is no array: {error}") from error
    want = spec.numpy_dtype
    if array.dtype == want:
        return array
    is_whole = array.dtype.kind in "iu" and want.kind in "iu"
    if not is_whole and not np.can_cast(array.dtype, want, "same_kind"):
        raise _invalid(f"input {spec.name!r} is {array.dtype}, and the model takes {spec.dtype}")
    try:
        with np.errstate(over="raise"):
            converted = array.astype(want)
    except FloatingPointError as error:
        raise _invalid(f"input {spec.name!r} has a number that {spec.dtype} cannot hold") from error
    if is_whole and not np.array_equal(converted, array):
        raise _invalid(f"input {spec.name!r} has a number that {spec.dtype} cannot hold")
    return converted


def _invalid(message: str, *, hint: str = "") -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, message, hint=hint)
