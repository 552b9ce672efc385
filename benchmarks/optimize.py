"""What static INT8 gains on the digits: by itself, and over REST with JSON, on one core.

    python -m benchmarks.optimize --store .fairlead/store [--rounds 9] [--seconds 2]

takes what serves of `digits` in the store and MNIST in `FAIRLEAD_DATA_DIR`, makes its INT8 candidate in a copy of the
store, and puts it through the gate. The raw figures are those that the gate was shown: ONNX Runtime alone, one thread.
Then one server for each of the two versions runs on core 0, and they are loaded in turns from core 1 with test images
as JSON. A gain is how many times as many images the optimised one answers in a second of the core, in the rounds that
other programs disturbed least.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.dialects import Payload
from benchmarks.harness.fairlead import Service
from benchmarks.harness.load import missing_tools, rest_load
from benchmarks.harness.process import leave_server_core
from benchmarks.harness.promises import Promises
from fairlead.app.judged_rows import JudgedRows, rows_of_recipe
from fairlead.app.optimization import Optimization
from fairlead.app.optimizing import optimize
from fairlead.app.releases import promote
from fairlead.config import Settings
from fairlead.gate.optimized import Margins
from fairlead.optimization.methods import METHODS

MODEL = "digits"
_METHOD = "int8-static"
_RAW_BAR, _REST_BAR, _LOSS_BAR = 2.2, 1.6, 0.001
_LOADS = {1: 64, 8: 16, 32: 8}
"""Connections, by images a request."""
_DECIMALS = 4
_WARMUP = 3


def optimized(store: Path, folder: Path, data: Path) -> tuple[Optimization, JudgedRows]:
    """Make the candidate in a copy of the store, and release it in a second copy."""
    homes = [folder / "original", folder / "optimized"]
    shutil.copytree(store, homes[1] / "store")
    settings = Settings.read({}, home=str(homes[1]), data_dir=str(data))
    found: list[JudgedRows] = []

    def rows_of(manifest: object) -> JudgedRows:
        found.append(rows_of_recipe(settings, MODEL, manifest, print))  # type: ignore[arg-type]
        return found[-1]

    methods = [method for method in METHODS if method.name == _METHOD]
    done = optimize(settings, MODEL, rows_of, margins=Margins(), say=print, methods=methods)
    if done.version is None:
        raise SystemExit("\n".join(done.refusals))
    shutil.copytree(homes[1] / "store", homes[0] / "store")
    promote(settings, done.version, "to be measured", None, print)
    return done, found[0]


def payload(images: NDArray[np.float32]) -> Payload:
    """A request of TensorFlow Serving's with these images, as a client writes them."""
    body = json.dumps({"instances": images.astype(np.float64).round(_DECIMALS).tolist()}).encode()
    return Payload(body=body, headers={"content-type": "application/json"})


def cpu_s(service: Service) -> float:
    """What the server's processes have used of a core."""
    times = [process.cpu_times() for process in service.process.family()]
    return float(sum(each.user + each.system for each in times))


def rest(folder: Path, images: NDArray[np.float32], *, rounds: int, seconds: int) -> Mapping[int, list[list[float]]]:
    """Images in a second of a core, of the original and the optimised version, round by round, by images a request."""
    rates: dict[int, list[list[float]]] = {count: [] for count in _LOADS}
    with contextlib.ExitStack() as life:
        services = [
            life.enter_context(Service(folder / name / "store", f"--home={folder / name}"))
            for name in ("original", "optimized")
        ]
        urls = [f"http://127.0.0.1:{service.port}/v1/models/{MODEL}:predict" for service in services]
        for number in range(rounds + 1):
            for count, connections in _LOADS.items():
                body = payload(images[:count])
                found = []
                for service, url in zip(services, urls, strict=True):
                    before_s = cpu_s(service)
                    lasts = seconds if number else _WARMUP * seconds  # the sizes of runs are found first
                    sample = rest_load(url, body, connections=connections, seconds=lasts)
                    if sample.errors:
                        raise RuntimeError(f"{sample.errors} requests failed")
                    found.append(sample.rate * lasts * count / (cpu_s(service) - before_s))
                if number:
                    rates[count].append(found)
    return rates


def main() -> int:
    """Measure; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path(".fairlead/store"), help="a model store with digits")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FAIRLEAD_DATA_DIR", "data")))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=2, help="that a load lasts")
    options = parser.parse_args()
    if missing := missing_tools():
        parser.exit(1, f"optimize needs {', '.join(missing)} (Debian: wrk, nghttp2-client)\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done, rows = optimized(options.store, folder, options.data)
        leave_server_core()
        found = rest(folder, rows.judged.inputs, rounds=options.rounds, seconds=options.seconds)
    (candidate,) = done.candidates
    print("\n".join("  ".join(f"{cell:>13}" for cell in row) for row in done.rows_of_table))
    gains: dict[int, float] = {}
    for count, rates in found.items():
        theirs, ours = (max(pair[at] for pair in rates) for at in (0, 1))
        gains[count] = ours / theirs
        told = f"{theirs:,.0f} and {ours:,.0f} images in a second of the core, {gains[count]:.2f} times as many"
        print(f"REST JSON, {count} images a request: {told}")
    promises = Promises()
    promises.at_most("loss of accuracy", done.baseline.accuracy - candidate.accuracy, _LOSS_BAR)
    promises.at_least("raw gain", max(candidate.pace.speedup.values()) if candidate.pace else 0.0, _RAW_BAR, " times")
    promises.at_least("gain over REST JSON", max(gains.values()), _REST_BAR, " times")
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
