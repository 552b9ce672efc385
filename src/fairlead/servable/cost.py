"""What a version costs, measured in a process of its own: `python -m fairlead.servable.cost DIRECTORY`.

A process of its own because peak memory belongs to a process, and because a file that crashes its runtime then takes
nobody with it.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Cost
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Tensors

__all__ = ["cost_since", "measure", "peak_bytes", "time_row"]

_RUNS = 200
_LONGEST_MS = 10_000
_TIMEOUT_S = 120


def measure(directory: Path) -> Cost:
    """Load the ONNX model in `directory` in a fresh process, prove it on its golden rows, and measure it.

    Raises:
        FairleadError: FAILED_PRECONDITION with the process's last words when it failed, crashed or hung.
    """
    command = [sys.executable, "-m", "fairlead.servable.cost", str(directory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)  # noqa: S603 - our own module
    except subprocess.TimeoutExpired as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION, f"the model did not load and answer within {_TIMEOUT_S} s"
        ) from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise FairleadError(Code.FAILED_PRECONDITION, f"the model does not serve: {last}")
    return Cost.from_json(json.loads(done.stdout))


def _measure_here(directory: Path) -> Cost:
    import onnxruntime  # noqa: F401, PLC0415 - loaded first, so that its own memory is not counted as the model's

    before = peak_bytes()
    golden = Golden.load(directory / GOLDEN_FILE)
    servable, _ = open_model(directory / MODEL_FILE)
    golden.prove(servable)
    return cost_since(before, servable, {name: array[:1] for name, array in golden.inputs.items()})


def peak_bytes() -> int:
    """The peak resident memory of this process. Not `getrusage`: there a child starts with its parent's peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def cost_since(before: int, servable: Servable, row: Tensors) -> Cost:
    """What a model costs that was loaded in this process since its peak memory was `before`, asked one row."""
    milliseconds = time_row(servable, row)
    return Cost(peak_memory_bytes=peak_bytes() - before, ms_per_row=milliseconds)


def time_row(servable: Servable, row: Tensors) -> float:
    """Median milliseconds that `servable` takes for the row."""
    times: list[float] = []
    while len(times) < _RUNS and sum(times) < _LONGEST_MS:
        began = time.perf_counter()
        servable.predict(row)
        times.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(times), 4)


if __name__ == "__main__":
    try:
        print(json.dumps(_measure_here(Path(sys.argv[1])).to_json()))  # noqa: T201 - the answer to the parent process
    except FairleadError as failure:
        sys.exit(str(failure))
