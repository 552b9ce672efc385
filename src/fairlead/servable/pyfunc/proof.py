"""The first load of a version with a Python model in it: from its own files, held to what the original answered."""

from __future__ import annotations

from pathlib import Path

from fairlead.servable.cost import time_row
from fairlead.servable.first_load import FirstLoad, compare
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Cost
from fairlead.servable.pyfunc.process import Conditions
from fairlead.servable.pyfunc.servable import PyfuncServable

__all__ = ["prove"]


def prove(version: Path, conditions: Conditions, proof: Golden) -> FirstLoad:
    """Load the model in the directory of a version anew, ask it the proof, and leave its first rows as golden ones.

    Args:
        version: holds the model.
        conditions: under what it runs.
        proof: rows, and what the original answered.

    Raises:
        FairleadError: saying how it failed.
    """
    servable = PyfuncServable(version, conditions)
    try:
        signature = servable.layout.signature
        golden, difference = compare(servable, signature, proof)
        golden.save(version / GOLDEN_FILE)
        milliseconds = time_row(servable, golden.part(0, 1).inputs)
        cost = Cost(peak_memory_bytes=servable.peak_bytes, ms_per_row=milliseconds)
        return FirstLoad(signature=signature, cost=cost, difference=difference)
    finally:
        servable.close()
