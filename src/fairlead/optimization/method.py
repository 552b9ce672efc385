"""The port: one way to make a model's file faster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.servable.signature import Tensors

__all__ = ["Method", "Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a method starts from.

    Attributes:
        model: the ONNX file as it was published.
        prepared: the same with the shapes of its tensors inferred and what is constant computed; it answers the same.
        calibration: rows that the model was trained on, by the name of the input, shape [n, ...] each.
    """

    model: Path
    prepared: Path
    calibration: Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way to make a model faster.

    Attributes:
        name: what the command and the lineage call it.
        make: writes the optimised model as an ONNX file at the given path; what it raises says that it cannot.
        missing: what it lacks where these providers compute, in words; empty when it can be tried.
    """

    name: str
    make: Callable[[Source, Path], None]
    missing: Callable[[Sequence[str]], str] = lambda _: ""
