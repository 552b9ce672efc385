"""Memory and handles over very many requests and swaps: what does a server keep that it should have let go?

After a warm-up, memory, file descriptors, threads and processes are read between spells of load, when nothing is open.
A server that leaks on purpose goes through the same check and must fail it; else the check is worth nothing.

    python -m benchmarks.memory [--requests 1000000] [--warm-up 100000] [--swaps 500] [--leak 100]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.harness.dialects import ROWS_JSON, Payload
from benchmarks.harness.fairlead import Service
from benchmarks.harness.load import fixed_load, missing_tools
from benchmarks.harness.networks import CNN
from benchmarks.harness.process import ServerProcess, Usage, free_port, leave_server_core, running
from benchmarks.harness.promises import Promises
from benchmarks.harness.server import ask
from benchmarks.harness.store import open_store
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

MODEL, PATH = "digits", "/v1/models/digits:predict"
CONNECTIONS, SPELLS, WARM_UP_SWAPS = 64, 20, 20
MIB = 2**20
_SETTLE_S, _SETTLE_STEP_S = 5.0, 0.1
_POLL_S = 0.01
_GOOD = 200


@dataclass(frozen=True, kw_only=True)
class Series:
    """What was read, after how many requests since the warm-up."""

    requests: list[int]
    usages: list[Usage]

    def growth_mib(self) -> float:
        """The highest reading of the last quarter over the first reading."""
        resident = [usage.resident_mb for usage in self.usages]
        return (max(resident[-len(resident) // 4 :]) - resident[0]) * 1e6 / MIB

    def slope_bytes(self) -> float:
        """Bytes a request, by least squares over all readings."""
        return float(np.polyfit(self.requests, [usage.resident_mb * 1e6 for usage in self.usages], 1)[0])


def over_requests(
    process: ServerProcess, url: str, payload: Payload, *, warm_up: int, requests: int
) -> tuple[Series, int]:
    """Read after the warm-up and after each of the spells; what was read, and how many requests failed."""
    failed = fixed_load(url, payload, connections=CONNECTIONS, requests=warm_up)
    usages = [_settled(process)]
    for _ in range(SPELLS):
        failed += fixed_load(url, payload, connections=CONNECTIONS, requests=requests // SPELLS)
        usages.append(_settled(process))
    return Series(requests=[turn * (requests // SPELLS) for turn in range(SPELLS + 1)], usages=usages), failed


def over_swaps(service: Service, store: WritableStore, payload: Payload, swaps: int) -> Series:
    """Read before, and after every tenth of the swaps; each ends with an answer of the version it brought."""
    usages, done = [_settled(service.process)], [0]
    for turn in range(1, swaps + 1):
        version = 1 + turn % 2
        store.promote(ServableId(MODEL, version), why="")
        while _version(service.port, payload) != version:
            time.sleep(_POLL_S)
        if turn % max(1, swaps // 10) == 0:
            usages.append(_settled(service.process))
            done.append(turn)
    return Series(requests=done, usages=usages)


def check(promises: Promises, series: Series, *, growth_mib: float, slope_bytes: float | None) -> None:
    """Hold what was read against P7's bars."""
    first, last = series.usages[0], series.usages[-1]
    promises.at_most("growth of memory", series.growth_mib(), growth_mib, " MiB")
    if slope_bytes is not None:
        promises.at_most("slope of memory", series.slope_bytes(), slope_bytes, " bytes a request")
    promises.at_most("more file descriptors", last.descriptors - first.descriptors, 0)
    promises.at_most("more threads", last.threads - first.threads, 0)
    promises.at_most("more processes", last.processes - first.processes, 0)


def _settled(process: ServerProcess) -> Usage:
    """What is held once the clients' connections are gone: when two readings in a row have as many descriptors."""
    until = time.monotonic() + _SETTLE_S
    last = process.usage()
    while time.monotonic() < until:
        time.sleep(_SETTLE_STEP_S)
        usage = process.usage()
        if usage.descriptors == last.descriptors:
            return usage
        last = usage
    return last


def _version(port: int, payload: Payload) -> int:
    """The version that answers; its digit is its number."""
    status, answer = ask(port, PATH, payload)
    return int(ROWS_JSON.decode(answer)[0].argmax()) if status == _GOOD else 0


def measure(options: argparse.Namespace) -> Promises:
    """Fairlead over requests, then over swaps."""
    promises = Promises()
    payload = ROWS_JSON.encode(CNN, CNN.rows(1))
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        for digit in (1, 2):
            publish_digit(store, MODEL, digit)
        store.promote(ServableId(MODEL, 1), why="")
        with Service(store.root, "--poll-interval-s=0.02") as service:
            url = f"http://127.0.0.1:{service.port}{PATH}"
            print(f"over {options.requests:,} requests, after {options.warm_up:,}:")
            series, failed = over_requests(
                service.process, url, payload, warm_up=options.warm_up, requests=options.requests
            )
            promises.at_most("failed requests", failed, 0)
            check(promises, series, growth_mib=20, slope_bytes=options.slope)
            print(f"over {options.swaps} swaps, after {WARM_UP_SWAPS}:")
            over_swaps(service, store, payload, WARM_UP_SWAPS)
            check(promises, over_swaps(service, store, payload, options.swaps), growth_mib=50, slope_bytes=None)
    return promises


def control(options: argparse.Namespace) -> Promises:
    """The leaking server through the same check."""
    print(f"a server that keeps {options.leak} bytes of every request, which must break its promises:")
    promises, port = Promises(), free_port()
    command = [sys.executable, "-m", "benchmarks.harness.leaking_server", str(port), str(options.leak)]
    nothing = Payload(body=b"")
    with running(command, lambda: ask(port, "/", nothing)[0] == _GOOD) as process:
        url = f"http://127.0.0.1:{port}/"
        series, _ = over_requests(process, url, nothing, warm_up=options.warm_up, requests=options.requests)
        check(promises, series, growth_mib=20, slope_bytes=options.slope)
    return promises


def main() -> int:
    """Measure; 1 when a promise was broken, or the control kept its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--warm-up", type=int, default=100_000, help="requests before the first reading")
    parser.add_argument("--swaps", type=int, default=500)
    parser.add_argument("--slope", type=float, default=20, help="bytes a request that are let pass; more when short")
    parser.add_argument("--leak", type=int, default=100, help="bytes a request that the control keeps")
    options = parser.parse_args()
    if missing := missing_tools():
        parser.exit(1, f"memory needs {', '.join(missing)} (Debian: wrk, nghttp2-client, util-linux)\n")
    leave_server_core()
    found = measure(options)
    if control(options).all_kept:
        print("the control kept its promises: this check sees nothing")
        return 1
    print("the control failed, as it must")
    return found.exit_status


if __name__ == "__main__":
    sys.exit(main())
