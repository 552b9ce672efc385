"""How many rows a second each of several models answers, in a process of its own on one core, turn by turn.

`python -m fairlead.optimization.pace` is that process. Turn by turn, because a machine's speed changes from second to
second: what is compared was measured next to each other.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.servable.disposable import Limits, answer, run_disposable
from fairlead.servable.npz import read_npz, write_npz
from fairlead.servable.runtimes.onnx import open_model
from fairlead.servable.runtimes.providers import Providers
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Tensors

__all__ = ["BATCHES", "Pace", "measure_pace"]

BATCHES = (1, 32)
"""Rows a call: one caller alone, and what a server under load runs together."""
_ROUNDS = 9
_TURN_S = 0.03
_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast one model is, on one core with one thread.

    Attributes:
        rows_per_s: the median over the rounds, by rows a call.
        speedup: how many times as fast as the first model in the same round, the median over the rounds, likewise.
    """

    rows_per_s: Mapping[int, float]
    speedup: Mapping[int, float]


def measure_pace(models: Sequence[Path], rows: Tensors, work: Path, providers: Sequence[str] = ("cpu",)) -> list[Pace]:
    """How fast the models are, in their order.

    Args:
        models: ONNX files; the first is what the others are compared with.
        rows: what to ask them, by the name of the input; at least one row.
        work: a directory for the rows.
        providers: what computes, see `Providers`.

    Raises:
        FairleadError: FAILED_PRECONDITION when the process that measures failed, crashed or hung.
    """
    most = max(BATCHES)
    sample = work / "pace.npz"
    write_npz(sample, {name: array[np.arange(most) % len(array)] for name, array in rows.items()})
    order = {"models": [str(path) for path in models], "sample": str(sample), "providers": [*providers]}
    rates = run_disposable("fairlead.optimization.pace", order, Limits(time_s=_TIMEOUT_S))
    return [_pace(model, rates[0]) for model in rates]


def _pace(rates: Sequence[Sequence[float]], first: Sequence[Sequence[float]]) -> Pace:
    """From rows a second of each round, for each of `BATCHES`."""
    told = list(zip(BATCHES, rates, first, strict=True))
    return Pace(
        rows_per_s={batch: statistics.median(ours) for batch, ours, _ in told},
        speedup={
            batch: statistics.median(mine / theirs for mine, theirs in zip(ours, others, strict=True))
            for batch, ours, others in told
        },
    )


def _measure_here(order: Mapping[str, Any], _: Limits) -> list[list[list[float]]]:
    """What the process does: rows a second, by model, by batch, by round."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    providers = Providers(names=tuple(order["providers"]))
    # Of the core's time the part that this process had: others may be at work there. A GPU's is not in it.
    clock = time.process_time if providers == Providers() else time.perf_counter
    servables = [open_model(Path(path), providers=providers)[0] for path in order["models"]]
    rows = read_npz(Path(order["sample"]))
    batches = [{name: array[:batch] for name, array in rows.items()} for batch in BATCHES]
    rates: list[list[list[float]]] = [[[] for _ in BATCHES] for _ in servables]
    for is_kept in (False, *[True] * _ROUNDS):  # the first round warms up
        for at, batch in enumerate(batches):
            for servable, found in zip(servables, rates, strict=True):
                calls = _calls_per_s(servable, batch, clock)
                if is_kept:
                    found[at].append(calls * BATCHES[at])
    return rates


def _calls_per_s(servable: Servable, batch: Tensors, clock: Callable[[], float]) -> float:
    calls, began = 0, clock()
    while (passed := clock() - began) < _TURN_S or not calls:
        servable.predict(batch)
        calls += 1
    return calls / passed


if __name__ == "__main__":
    answer(_measure_here)
