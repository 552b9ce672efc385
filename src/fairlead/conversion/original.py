"""The port: a trained object with a sample, which can be asked, and written as ONNX."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from fairlead.servable.column import Column
from fairlead.servable.signature import Array, Tensors

__all__ = ["Original"]


class Original(Protocol):
    """A trained object and a sample of what it will be asked. Nothing changes the object."""

    @property
    def framework(self) -> str:
        """Who trained it, as people call it."""

    @property
    def kind(self) -> str:
        """What it is there, such as the name of its class."""

    @property
    def inputs(self) -> Tensors:
        """The sample, as a server of the ONNX file is asked it: arrays with as many rows, axis 0 of each."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What it calls its classes, be it by number, in the order of its answers; empty where it does not say."""

    @property
    def columns(self) -> Mapping[str, Column]:
        """What values its inputs may have that are columns of a table; empty where there was none."""

    def answer(self) -> dict[str, Array]:
        """What it says of the sample, by the names of the ONNX file's outputs, in the same shapes.

        Raises:
            FairleadError: saying why it cannot be asked. What the object itself raises is let through.
        """

    def export(self, path: Path) -> None:
        """Write it as ONNX, with a free batch axis.

        Raises:
            FairleadError: UNIMPLEMENTED naming what ONNX lacks.
        """
