"""The port: a trained object with a sample, which can be asked and written as ONNX; and what its answers have to be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.signature import Array, Tensors

__all__ = ["Asked", "Original", "answers_of"]


class Asked(Protocol):
    """A model and a sample of what it will be asked. Nothing changes the model."""

    @property
    def kind(self) -> str:
        """What it is there, such as the name of its class."""

    @property
    def inputs(self) -> Tensors:
        """The sample, as a server of the ONNX file is asked it: arrays with as many rows, axis 0 of each."""

    def answer(self) -> dict[str, Array]:
        """What it says of the sample, by the names of the outputs of what is published, in the same shapes.

        Raises:
            FairleadError: saying why it cannot be asked. What the model itself raises is let through.
        """


class Original(Asked, Protocol):
    """A trained object that can be written as ONNX."""

    @property
    def framework(self) -> str:
        """Who trained it, as people call it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What it calls its classes, be it by number, in the order of its answers; empty where it does not say."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """What values its inputs may have that are columns of a table; empty where there was none."""

    def export(self, path: Path) -> None:
        """Write it as ONNX, with a free batch axis.

        Raises:
            FairleadError: UNIMPLEMENTED naming what ONNX lacks.
        """


def answers_of(original: Asked) -> dict[str, Array]:
    """What the object says of the sample, both times.

    Raises:
        FairleadError: INVALID_ARGUMENT when it rejects it; FAILED_PRECONDITION when it says one thing and then another,
            or what is no answer.
    """
    try:
        first, second = original.answer(), original.answer()
    except FairleadError:
        raise
    except Exception as error:  # whatever a framework raises for rows that it does not like
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the {original.kind} itself rejects the sample: {type(error).__name__}: {error}",
            hint="give it rows as it was trained on",
        ) from error
    rows = len(next(iter(original.inputs.values())))
    for name, array in first.items():
        if array.shape[:1] != (rows,):
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"the {original.kind}'s {name} have shape {list(array.shape)} for {rows} rows: axis 0 is not theirs",
                hint="let it answer each row by itself, in the order of the rows",
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"the {original.kind}'s {name} of the sample hold numbers that are not finite"
            )
        if name not in second or not np.array_equal(array, second[name]):
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"the {original.kind} changes its answer from one call to the next: {name} "
                f"differ{_by(array, second.get(name))} for the same rows",
                hint="switch off what is random in it, such as dropout",
            )
    return first


def _by(first: Array, second: Array | None) -> str:
    """How far two answers are apart, where that is a number."""
    if second is None or first.shape != second.shape or "O" in (first.dtype.kind, second.dtype.kind):
        return ""
    return f" by {float(np.abs(first.astype(np.float64) - second).max()):.3g}"
