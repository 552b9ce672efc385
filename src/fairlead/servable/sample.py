"""What a model that nobody knows is asked: rows that fit its signature, or those that came with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.golden import Golden
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec

__all__ = ["ask", "read_sample", "samples"]

_ROWS = 3
_FREE_SIZES = (1, 16, 64, 224)
"""Tried in turn for axes of any length: a sequence, a small picture, a large one."""


def ask(servable: Servable, signature: Signature, rows: Iterable[Tensors]) -> Golden:
    """The first of the samples that the model answers, with what it answers in numbers.

    Raises:
        FairleadError: INVALID_ARGUMENT with the reason when it answers none.
    """
    refused: FairleadError | None = None
    for sample in rows:
        try:
            signature.check_inputs(sample)
            answer = servable.predict(sample)
        except FairleadError as error:
            refused = error
            continue
        return Golden(inputs=sample, outputs=_numbers(answer))
    reason = refused.message if refused else "its inputs have no fixed number of axes"
    raise FairleadError(Code.INVALID_ARGUMENT, f"it answers no sample: {reason} (give it rows: --sample ROWS.npz)")


def _numbers(answer: Tensors) -> dict[str, Array]:
    """The answers that can be compared with others later.

    Raises:
        FairleadError: FAILED_PRECONDITION when one is not finite or none is a number.
    """
    numbers = {name: array for name, array in answer.items() if array.dtype.kind in "fiub"}
    for name, array in numbers.items():
        if not np.isfinite(array).all():
            raise FairleadError(Code.FAILED_PRECONDITION, f"its output {name!r} is not finite for the sample")
    if not numbers:
        raise FairleadError(Code.UNIMPLEMENTED, "none of its outputs holds numbers, so nothing could prove it later")
    return numbers


def samples(signature: Signature) -> Iterator[Tensors]:
    """Rows that fit the signature: random ones, then zeros, for each size that free axes may have."""
    if any(spec.is_unranked for spec in signature.inputs):
        return
    free = any(-1 in spec.shape[1:] for spec in signature.inputs)
    for size in _FREE_SIZES if free else _FREE_SIZES[:1]:
        for is_zero in (False, True):
            dice = np.random.default_rng(0)
            yield {spec.name: _rows(spec, size, None if is_zero else dice) for spec in signature.inputs}


def _rows(spec: TensorSpec, size: int, dice: np.random.Generator | None) -> Array:
    shape = tuple(_ROWS if axis == 0 and length == -1 else abs(length) * (size if length == -1 else 1)
                  for axis, length in enumerate(spec.shape))  # fmt: skip
    column = spec.column or Column()
    if spec.dtype == "string":
        return np.full(shape, (column.categories or ("sample",))[0], object)
    numbers = np.zeros(shape) if dice is None else dice.random(shape)
    if spec.numpy_dtype.kind != "f":
        numbers = numbers.round()
    return np.asarray(np.clip(numbers, *column.bounds), spec.numpy_dtype)


def read_sample(path: Path, signature: Signature) -> Tensors:
    """The rows in the file at `path`, in the signature's dtypes.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is no such file or has other inputs.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {spec.name: arrays[spec.name].astype(spec.numpy_dtype) for spec in signature.inputs}
    except Exception as error:  # damaged archives raise many kinds
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{path} is no sample with the inputs {[spec.name for spec in signature.inputs]}"
        ) from error
