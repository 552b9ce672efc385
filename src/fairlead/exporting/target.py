"""The port: one kind of system that a version can be written for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors

__all__ = ["Source", "Target", "proven"]

_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is exported.

    Attributes:
        manifest: the version's.
        directory: its files.
        golden: rows and what the version answers to them.
        prepare: the version's ONNX file with the shapes of its tensors inferred and what is constant computed.
        storage_uri: where what is written will be, for a system that fetches it; empty where that was not said.
    """

    manifest: Manifest
    directory: Path
    golden: Golden
    prepare: Callable[[], Path]
    storage_uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One kind of system.

    Attributes:
        name: what the command calls it.
        suffix: of what is written, such as ".tflite"; empty for a directory.
        write: writes a file, or a directory, that is not there yet, and proves it with the library of that system:
            how far its answers to the golden rows are from the version's at most.
    """

    name: str
    suffix: str
    write: Callable[[Source, Path], float]


def proven(source: Source, answers: Tensors, what: str) -> float:
    """How far these answers to the golden rows are from the version's at most; `what` gave them.

    Raises:
        FairleadError: FAILED_PRECONDITION when that is too far.
    """
    try:
        return source.golden.difference(answers, _TOLERANCE)
    except FairleadError as error:
        raise FairleadError(Code.FAILED_PRECONDITION, f"{what} answers otherwise: {error.message}") from error
