"""The first load of a model that nobody knows, in a process that may break: `python -m fairlead.servable.first_load`.

What it leaves is `golden.npz`: a sample made from the signature, and the answers; or the first rows of a proof, which
are those of the object that the file was made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.cost import cost_since, peak_bytes
from fairlead.servable.disposable import Limits, answer, confine, run_disposable
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Cost
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.sample import ask, read_sample, samples
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Signature

__all__ = ["FirstLoad", "compare", "load_first"]

_GOLDEN_ROWS = 8
_PART_ROWS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstLoad:
    """What the first load of a model found.

    Attributes:
        signature: what it takes and gives.
        cost: what it costs.
        difference: the largest difference from a proof, see `Golden.prove`; 0 without one.
    """

    signature: Signature
    cost: Cost
    difference: float

    def to_json(self) -> list[Any]:
        return [self.signature.to_json(), self.cost.to_json(), self.difference]

    @staticmethod
    def from_json(data: Sequence[Any]) -> FirstLoad:
        signature, cost, difference = data
        return FirstLoad(
            signature=Signature.from_json(signature), cost=Cost.from_json(cost), difference=float(difference)
        )


def load_first(
    directory: Path,
    limits: Limits,
    sample: Path | None = None,
    libraries: Sequence[Path] = (),
    proof: Path | None = None,
) -> FirstLoad:
    """Load the ONNX model in `directory`, ask it, and leave what it answered there as golden rows.

    Args:
        directory: holds the model, and nothing that must not be lost.
        limits: what it may take.
        sample: rows to ask it, an `.npz` with an array for each input; None for some made from its signature.
        libraries: see `open_model`.
        proof: golden rows that it should give, in place of a sample; how far it is from them is for others to judge.

    Raises:
        FairleadError: FAILED_PRECONDITION saying how it failed, crashed, hung or ran out of memory.
    """
    order = {
        "directory": str(directory),
        "sample": str(sample.absolute()) if sample else None,
        "libraries": [str(library) for library in libraries],
        "proof": str(proof.absolute()) if proof else None,
    }
    return FirstLoad.from_json(run_disposable("fairlead.servable.first_load", order, limits))


def _load_here(order: Mapping[str, Any], limits: Limits) -> list[Any]:
    """What the process does."""
    import onnxruntime  # noqa: F401, PLC0415 - before the limits: the runtime's own memory is not the model's

    confine(limits)
    directory, before = Path(order["directory"]), peak_bytes()
    servable, signature = open_model(
        directory / MODEL_FILE, libraries=[Path(library) for library in order["libraries"]]
    )
    if order["proof"]:
        golden, difference = compare(servable, signature, Golden.load(Path(order["proof"])))
    else:
        given = Path(order["sample"]) if order["sample"] else None
        golden = ask(servable, signature, [read_sample(given, signature)] if given else samples(signature))
        difference = 0.0
    golden.save(directory / GOLDEN_FILE)
    if not order["proof"]:
        Golden.load(directory / GOLDEN_FILE).prove(servable)
    row = {
        spec.name: golden.inputs[spec.name][:1] if spec.shape[:1] == (-1,) else golden.inputs[spec.name]
        for spec in signature.inputs
    }
    first = FirstLoad(signature=signature, cost=cost_since(before, servable, row), difference=difference)
    return first.to_json()


def compare(servable: Servable, signature: Signature, proof: Golden) -> tuple[Golden, float]:
    """The first rows of the proof, and how far the model is from all of them; one is asked alone, others together."""
    signature.check_inputs(proof.inputs)
    starts = [0, *range(1, proof.rows, _PART_ROWS), proof.rows]
    parts = [_answered(servable, proof.part(start, stop)) for start, stop in pairwise(starts)]
    got = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return proof.part(0, _GOLDEN_ROWS), proof.difference(got, np.inf)


def _answered(servable: Servable, part: Golden) -> dict[str, Array]:
    """What the model says of these rows.

    Raises:
        FairleadError: FAILED_PRECONDITION when an output has not a row for each.
    """
    got = servable.predict(part.inputs)
    for name, array in got.items():
        if array.shape[:1] != (part.rows,):
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"its output {name!r} has the shape {list(array.shape)} for {part.rows} rows: axis 0 is not theirs",
            )
    return got


if __name__ == "__main__":
    answer(_load_here)
