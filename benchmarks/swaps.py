"""Promotions, rollbacks, worker replacements and restarts under load: no request may fail, no answer may be mixed.

REST and gRPC clients keep their connections, or open one for each request. The models answer with the digit that
is their version's number, and every row of every answer must be of the version that the answer names. While the service
is stopped, connections are refused: the clients wait; but a request that was taken must be answered.

    python -m benchmarks.swaps [--requests 1000000] [--swaps 500] [--restarts 50] [--stops 5]
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from benchmarks.harness.fairlead import Service
from benchmarks.harness.latency import p99
from benchmarks.harness.process import leave_server_core
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.store import open_store
from benchmarks.harness.traffic import Clients, Traffic
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

MODEL = "digits"
ROWS, BATCH_ROWS = 6, 4
"""A request has more rows than may run together, so every answer is put together from two runs."""
CLIENTS = Clients(rest_kept=8, rest_renewed=8, grpc_kept=2, grpc_renewed=1)
_DEADLINE_S = 60.0
_SLOWEST = 200  # requests a second below which the run is given up


class Disturbance:
    """What is done to the service, each kind evenly spread over the requests."""

    def __init__(self, service: Service, store: WritableStore, traffic: Traffic) -> None:
        self._service = service
        self._store = store
        self._traffic = traffic
        self._processes = asyncio.Lock()
        self.done: dict[str, int] = {}

    async def spread(self, what: str, times: int, requests: int, act: Callable[[int], Awaitable[None]]) -> None:
        """Act so often while so many requests are asked."""
        self.done[what] = 0
        first = self._traffic.answered
        for turn in range(times):
            start = first + requests * (turn + 1) // (times + 1)
            await self._traffic.until(lambda start=start: self._traffic.answered >= start)  # type: ignore[misc]
            await act(turn)
            self.done[what] += 1

    async def swap(self, turn: int) -> None:
        """Promote the second version, or roll back to the first, and wait for an answer of it."""
        version = 2 - turn % 2
        if version == 2:  # noqa: PLR2004 - the second
            await asyncio.to_thread(self._store.promote, ServableId(MODEL, version), why="")
        else:
            await asyncio.to_thread(self._store.rollback, MODEL, why="")
        await self._traffic.until(lambda: self._traffic.latest == version)

    async def replace(self, _: int) -> None:
        """SIGHUP: a new worker takes over; return when the old one has gone."""
        async with self._processes:
            self._traffic.phase = "replacing"
            old = self._workers()
            self._service.process.signal(signal.SIGHUP)
            await self._traffic.until(lambda: not old & self._workers())
            self._traffic.phase = "swapping"

    async def stop(self, _: int) -> None:
        """SIGTERM under load, and a new start."""
        async with self._processes:
            self._traffic.phase = "stopping"
            self._traffic.is_up.clear()
            await asyncio.to_thread(self._service.restart)
            self._traffic.is_up.set()
            self._traffic.phase = "swapping"

    def _workers(self) -> set[int]:
        return {process.pid for process in self._service.process.family()[1:]}


async def measure(service: Service, store: WritableStore, options: argparse.Namespace) -> Promises:
    """Run without disturbance, then with it, and compare."""
    traffic = Traffic(service.port, service.grpc_port, MODEL, ROWS)
    steady = max(1, options.requests // 10)
    async with asyncio.timeout(_DEADLINE_S + 2 * options.requests / _SLOWEST):
        traffic.phase = "steady"
        await traffic.run(steady, CLIENTS)
        traffic.phase = "swapping"
        disturbance = Disturbance(service, store, traffic)
        await asyncio.gather(
            traffic.run(options.requests, CLIENTS),
            disturbance.spread("swaps", options.swaps, options.requests, disturbance.swap),
            disturbance.spread("replacements", options.restarts, options.requests, disturbance.replace),
            disturbance.spread("stops", options.stops, options.requests, disturbance.stop),
        )
    print(f"{traffic.answered:,} answers, {dict(traffic.versions)} by version; {disturbance.done}")
    print("p99:", ", ".join(f"{phase} {p99(seen):.1f} ms" for phase, seen in traffic.latencies_ms.items()))
    print("\n".join(traffic.failures))
    promises = Promises(is_timed=not options.untimed)
    promises.at_most("failed requests", traffic.failed, 0)
    promises.at_most("answers of no one version", traffic.mixed, 0)
    promises.at_least("swaps done", disturbance.done["swaps"], options.swaps)
    bar_ms = 2 * p99(traffic.latencies_ms["steady"])
    promises.takes_at_most("p99 while swapping", p99(traffic.latencies_ms["swapping"]), bar_ms, " ms")
    return promises


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--swaps", type=int, default=500)
    parser.add_argument("--restarts", type=int, default=50, help="worker replacements")
    parser.add_argument("--stops", type=int, default=5, help="restarts of the whole service")
    add_untimed_flag(parser)
    options = parser.parse_args()
    leave_server_core()
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        for digit in (1, 2):
            publish_digit(store, MODEL, digit)
        store.promote(ServableId(MODEL, 1), why="")
        with Service(store.root, "--poll-interval-s=0.05", f"--max-batch-rows={BATCH_ROWS}") as service:
            return uvloop.run(measure(service, store, options)).exit_status


if __name__ == "__main__":
    sys.exit(main())
