"""A few real inputs with the outputs that the trained model gave: `golden.npz`. They warm a version up and prove it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.npz import read_npz, write_npz
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Tensors

__all__ = ["GOLDEN_FILE", "Golden"]

GOLDEN_FILE = "golden.npz"

TOLERANCE = 1e-3
"""Largest difference a serving machine may show: another CPU rounds otherwise; a wrong model differs by far more.

Of numbers beyond 1 in size it is a share of them: prices in the thousands are rounded in the thousandths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Inputs and the outputs they must give, by tensor name, one row a case."""

    inputs: Tensors
    outputs: Tensors

    def save(self, path: Path) -> None:
        """Write `golden.npz` with arrays named `input:NAME` and `output:NAME`."""
        arrays = {f"input:{name}": array for name, array in self.inputs.items()}
        arrays |= {f"output:{name}": array for name, array in self.outputs.items()}
        write_npz(path, arrays)

    @staticmethod
    def load(path: Path) -> Golden:
        """Read `golden.npz`.

        Raises:
            FairleadError: DATA_LOSS when it is not one. Nothing in it is ever unpickled.
        """
        try:
            with path.open("rb") as file:
                arrays = read_npz(file)
        except Exception as error:  # zipfile, zlib and numpy's header reader raise a dozen kinds for damaged files
            raise FairleadError(Code.DATA_LOSS, f"{path.name} is not a golden file: {error}") from error
        golden = Golden(
            inputs={name[6:]: array for name, array in arrays.items() if name.startswith("input:")},
            outputs={name[7:]: array for name, array in arrays.items() if name.startswith("output:")},
        )
        if not golden.inputs or not golden.outputs:
            raise FairleadError(Code.DATA_LOSS, f"{path.name} is not a golden file: it proves nothing")
        return golden

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(next(iter(self.outputs.values())))

    def part(self, start: int, stop: int) -> Golden:
        """The rows from `start` to before `stop`."""
        return Golden(
            inputs={name: array[start:stop] for name, array in self.inputs.items()},
            outputs={name: array[start:stop] for name, array in self.outputs.items()},
        )

    def prove(self, servable: Servable, tolerance: float = TOLERANCE) -> float:
        """Run the inputs through `servable` and return the largest difference from the outputs, see `difference`.

        Raises:
            FairleadError: FAILED_PRECONDITION when an output is missing, misshapen, not finite or differs by more than
                `tolerance`.
        """
        return self.difference(servable.predict(self.inputs), tolerance)

    def difference(self, got: Tensors, tolerance: float = TOLERANCE) -> float:
        """The largest difference of `got` from the outputs.

        It is absolute; of a number that is larger than 1 in some row it is a share of the largest that it is.

        Raises:
            FairleadError: as `prove`.
        """
        worst = 0.0
        for name, want in self.outputs.items():
            if name not in got or got[name].shape != want.shape:
                raise FairleadError(
                    Code.FAILED_PRECONDITION, f"golden output {name!r} of shape {list(want.shape)} was not given"
                )
            apart = _apart(got[name], want)
            difference = float(apart.max(initial=0.0))
            if not difference <= tolerance:  # also true for NaN
                raise FairleadError(
                    Code.FAILED_PRECONDITION,
                    f"golden output {name!r} differs by {difference:.3g}; at most {tolerance:g} is allowed",
                )
            worst = max(worst, difference)
        return worst


def _apart(got: Array, want: Array) -> Array:
    """How far each number is from what it should be; a text is the same, or as far as can be."""
    if "O" in (got.dtype.kind, want.dtype.kind):
        return np.where(got == want, 0.0, np.inf)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, which `difference` refuses
        return np.asarray(np.abs(got.astype(np.float64) - want) / _sizes(want))


def _sizes(want: Array) -> Array:
    """How large each number of a row is at most, in any of the rows; at least 1."""
    sizes = np.abs(want.astype(np.float64))
    return np.maximum(1.0, sizes.max(axis=0, keepdims=True, initial=0.0) if sizes.ndim else sizes)
