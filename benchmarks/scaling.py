"""What a second process brings on two cores, with the load on the same two cores: part of the figure, as for a client.

Two servers, with one worker and with two, are loaded in turns, and nothing is pinned. What a request takes of a core is
measured for the server and for the load (wrk): it explains the rates, and tells what other programs had of the cores.
Of each server the round counts in which they had least. Writes docs/scaling.json, and docs/capacity.md anew.

    python -m benchmarks.scaling [--rounds 5] [--seconds 3] [--output docs]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.capacity import write_page
from benchmarks.harness import machine
from benchmarks.harness.dialects import ROWS_JSON
from benchmarks.harness.fairlead import Service
from benchmarks.harness.load import missing_tools, rest_load
from benchmarks.harness.networks import CNN
from benchmarks.harness.process import ROOT
from benchmarks.harness.store import open_store, publish
from fairlead.transport import connection

CONNECTIONS = 64
WORKERS = (1, 2)


@dataclass(frozen=True, kw_only=True)
class Round:
    """What was found of a server in one round.

    Attributes:
        rate: requests a second.
        server_us: of a core that the server used for a request.
        load_us: of a core that the load used for a request.
    """

    rate: float
    server_us: float
    load_us: float

    @property
    def cores(self) -> float:
        """That server and load had."""
        return self.rate * (self.server_us + self.load_us) / 1e6


def load(service: Service, seconds: int) -> Round:
    """Load the server once."""
    url = f"http://127.0.0.1:{service.port}/v1/models/{CNN.name}:predict"
    server_s, load_s = _server_cpu_s(service), _load_cpu_s()
    sample = rest_load(url, ROWS_JSON.encode(CNN, CNN.rows(1)), connections=CONNECTIONS, seconds=seconds)
    if sample.errors:
        raise RuntimeError(f"{sample.errors} requests failed")
    requests = sample.rate * seconds
    return Round(
        rate=sample.rate,
        server_us=1e6 * (_server_cpu_s(service) - server_s) / requests,
        load_us=1e6 * (_load_cpu_s() - load_s) / requests,
    )


def _server_cpu_s(service: Service) -> float:
    times = [process.cpu_times() for process in service.process.family()]
    return float(sum(each.user + each.system for each in times))


def _load_cpu_s() -> float:
    """Of the processes that have ended: the servers have not."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(folder: Path, *, rounds: int, seconds: int) -> Mapping[int, list[Round]]:
    """Load the two servers in turns, after a second each to warm up."""
    store = open_store(folder / "store")
    publish(store, CNN)
    found: dict[int, list[Round]] = {workers: [] for workers in WORKERS}
    with (
        Service(store.root, f"--home={folder / 'one'}", "--workers=1", core=None) as one,
        Service(store.root, f"--home={folder / 'two'}", "--workers=2", core=None) as two,
    ):
        services = {1: one, 2: two}
        for service in services.values():
            load(service, 1)
        for number in range(rounds):
            for workers in WORKERS[:: -1 if number % 2 else 1]:
                found[workers].append(load(services[workers], seconds))
    return found


def as_json(found: Mapping[int, Sequence[Round]], described: Mapping[str, str]) -> dict[str, Any]:
    """What `docs/scaling.json` holds: every round, those that count, and the ratio of their rates."""
    best = {str(workers): max(rounds, key=lambda one: one.cores) for workers, rounds in found.items()}
    return {
        "machine": dict(described),
        "code": "interpreted" if connection.__file__.endswith(".py") else "compiled",
        "load": f"wrk, {CONNECTIONS} connections, JSON with one image for the convolutional network; nothing is pinned",
        "rounds": {str(workers): [dataclasses.asdict(one) for one in rounds] for workers, rounds in found.items()},
        "found": {workers: dataclasses.asdict(one) | {"cores": one.cores} for workers, one in best.items()},
        "ratio": best["2"].rate / best["1"].rate,
    }


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="that a load lasts")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder to write to (default: docs)")
    options = parser.parse_args()
    if missing := missing_tools():
        parser.exit(1, f"scaling needs {', '.join(missing)} (Debian: wrk, nghttp2-client, util-linux)\n")
    if len(os.sched_getaffinity(0)) != max(WORKERS):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: max(WORKERS)])
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), rounds=options.rounds, seconds=options.seconds)
    told = as_json(found, machine.describe())
    for workers, one in told["found"].items():
        print(
            f"{workers} workers: {one['rate']:,.0f} requests a second with {one['cores']:.2f} cores; of a core, the "
            f"server takes {one['server_us']:.0f} us a request and the load {one['load_us']:.0f} us"
        )
    print(f"with the second process there are {told['ratio']:.2f} times as many")
    (options.output / "scaling.json").write_text(json.dumps(told, indent=1) + "\n")
    write_page(options.output)


if __name__ == "__main__":
    main()
