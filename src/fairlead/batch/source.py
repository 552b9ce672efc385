"""The port to what is scored: rows in an order that never changes, cut into parts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairlead.servable.signature import Tensors

__all__ = ["Decoded", "Part", "Reject", "Source", "identify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A row that is not scored.

    Attributes:
        row: its number in the input, from 0.
        reason: what is wrong with it.
        file: its file, where each row is one.
    """

    row: int
    reason: str
    file: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"row": self.row, "reason": self.reason} | ({} if self.file is None else {"file": self.file})


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The rows of a part.

    Attributes:
        rows: the numbers of those that are good, int64 [n].
        tensors: the good ones as the model's inputs, or of whole numbers that have yet to be given their dtype.
        rejects: the others.
        files: the good ones' files, where each row is one.
    """

    rows: NDArray[np.int64]
    tensors: Tensors
    rejects: tuple[Reject, ...]
    files: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows that are scored together and written as one file.

    Attributes:
        number: counted from 0.
        rows: how many, bad ones included.
        decode: makes inputs of them, in whichever thread; None for a part that need not be scored again.
    """

    number: int
    rows: int
    decode: Callable[[], Decoded] | None = field(repr=False)


class Source(Protocol):
    """An input, checked against the model's signature when it was opened."""

    def identity(self) -> Mapping[str, Any]:
        """What tells this input from another, in values that JSON keeps as they are."""

    def parts(self, size: int, done: Collection[int]) -> Iterator[Part]:
        """All parts, of `size` rows but for the last; those in `done` are passed over as cheaply as can be.

        Raises:
            FairleadError: DATA_LOSS when the input cannot be read to its end.
        """

    @property
    def names(self) -> Sequence[str]:
        """The columns that are read; empty where there are none."""


def identify(path: Path) -> dict[str, Any]:
    """The identity of a file: where it is, how large, when it was changed last."""
    found = path.stat()
    return {"path": str(path.resolve()), "bytes": found.st_size, "changed_ns": found.st_mtime_ns}
