"""Predictions, their log and their labels while what stands behind them fails: none may be lost, none logged twice.

PostgreSQL is stopped, frozen, killed and restarted, over and over, or the recorder is killed at random; the MLflow
registry is away all the time. Meanwhile clients ask steadily, note the id of every row, and label a share of them,
saying a label again until it is acknowledged. In the end the log must have each id once, its counts must be those of
the rows, and every acknowledged label must be there. Requests of one row and of three take turns.

    python -m benchmarks.outages [--seconds 600] [--outage 10] [--of database|recorder]
"""

from __future__ import annotations

import argparse
import asyncio
import enum
import itertools
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import uvloop

from benchmarks.harness.connection import connect, post
from benchmarks.harness.databases import PostgresServer, has_postgres, postgres_server
from benchmarks.harness.dialects import V2_BINARY
from benchmarks.harness.labeller import Labeller
from benchmarks.harness.latency import p50, p99
from benchmarks.harness.log_counts import LogCounts
from benchmarks.harness.logged import LogReader
from benchmarks.harness.logging_service import LoggingService
from benchmarks.harness.networks import CNN
from benchmarks.harness.noted_load import NotedLoad, NotedRequest
from benchmarks.harness.process import free_port, leave_server_core
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.store import open_store, publish
from fairlead.errors import FairleadError

PATH = f"/v2/models/{CNN.name}/infer"
ROWS = (1, 3)
_READY = b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n"
_GOOD = 200
_LOOK_S = 0.1
_RECOVERY_S = 15.0
"""The recorder tries again after 10 s at most; then it has some seconds to ship what waited."""

_GIVEN_UP_S = 120.0
_BEHIND_S = 1.0
"""How much of the load waits for the database at any time."""

_NOISE_MS = 2.0
"""Two spells without any outage differ by that much."""


class Kind(enum.StrEnum):
    """What happens."""

    STOPPED = "the database stopped"
    FROZEN = "the database frozen"
    KILLED = "the database killed"
    RESTARTED = "the database restarted"
    RECORDER = "the recorder killed"


_OF = {
    "database": (Kind.STOPPED, Kind.FROZEN, Kind.KILLED, Kind.RESTARTED),
    "recorder": (Kind.RECORDER,),
}


class Outages:
    """Makes outages, in a thread of its own: PostgreSQL ends with the thread that started it.

    Args:
        server: PostgreSQL.
        service: whose recorder may be killed.
        seconds: that an outage lasts.
    """

    def __init__(self, server: PostgresServer, service: LoggingService, seconds: float) -> None:
        self._server = server
        self._service = service
        self._seconds = seconds

    def make(self, kind: Kind) -> None:
        """Make one, and return when what failed runs again."""
        match kind:
            case Kind.STOPPED:
                self._server.stop()
                time.sleep(self._seconds)
                self._server.start()
            case Kind.FROZEN:
                with self._server.frozen():
                    time.sleep(self._seconds)
            case Kind.KILLED:
                self._kill()
                time.sleep(self._seconds)
                self._server.start()
            case Kind.RESTARTED:
                self._server.stop()
                self._server.start()
            case Kind.RECORDER:
                for process in self._service.recorders():
                    process.kill()

    def _kill(self) -> None:
        pid = int((self._server.socket.parent / "data" / "postmaster.pid").read_text().split()[0])
        others = psutil.Process(pid).children(recursive=True)
        self._server.stop(signal.SIGKILL)
        for process in others:
            process.kill()
        psutil.wait_procs(others, timeout=10)


class Run:
    """Clients and outages at the same time, and what came of it.

    Attributes:
        made: how many outages of each kind there were.
        recovered_s: after each, seconds until the database was no further behind than it always is.
        outages, catching_up, calm: spells of the performance counter.
        unready: looks at the health page that did not find it ready.
        looks: all of them.
    """

    def __init__(self, service: LoggingService, reader: LogReader, options: argparse.Namespace) -> None:
        self._service = service
        self._reader = reader
        self._options = options
        self._random = random.Random(0)  # noqa: S311 - moments, no secret
        self._is_over = False
        self.labeller = Labeller(service.port, options.labels)
        self.load = NotedLoad(service.port, [_request(rows) for rows in ROWS], self.labeller.offer)
        self.made: Counter[Kind] = Counter()
        self.recovered_s: list[float] = []
        self.outages: list[tuple[float, float]] = []
        self.catching_up: list[tuple[float, float]] = []
        self.calm: list[tuple[float, float]] = []
        self.unready: Counter[str] = Counter()
        self.looks = 0

    async def run(self, make: Callable[[Kind], None], pool: ThreadPoolExecutor) -> None:
        """Return when the outages are over, the clients have their answers and the database has all rows."""
        loop = asyncio.get_running_loop()

        def act(kind: Kind) -> asyncio.Future[None]:
            return loop.run_in_executor(pool, make, kind)

        health = asyncio.create_task(self._look())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.labeller.run())
            loading = tasks.create_task(self.load.run(rate=self._options.rate, is_over=lambda: self._is_over))
            await self._be_calm()
            began = time.perf_counter()
            for turn, kind in enumerate(itertools.cycle(_OF[self._options.of])):
                if turn >= len(_OF[self._options.of]) and time.perf_counter() - began > self._options.seconds:
                    break
                await self._suffer(kind, act)
            self._is_over = True
            await loading
            self.labeller.is_over = True
        await self._caught_up(0)
        health.cancel()

    async def _suffer(self, kind: Kind, act: Callable[[Kind], asyncio.Future[None]]) -> None:
        began = time.perf_counter()
        await act(kind)
        ended = time.perf_counter()
        await self._caught_up(_BEHIND_S * self._options.rate * sum(ROWS) / len(ROWS))
        recovered = time.perf_counter()
        self.made[kind] += 1
        self.outages.append((began, ended if kind is not Kind.RECORDER else recovered))
        self.catching_up.append((ended, recovered))
        self.recovered_s.append(recovered - ended)
        await self._be_calm()

    async def _be_calm(self) -> None:
        began = time.perf_counter()
        await asyncio.sleep(self._options.outage * self._random.uniform(0.5, 1.5))
        self.calm.append((began, time.perf_counter()))

    async def _caught_up(self, behind_rows: float) -> None:
        """Return when the database lacks so many rows at most, or after two minutes."""
        deadline = time.monotonic() + _GIVEN_UP_S
        while time.monotonic() < deadline:
            try:
                rows = await asyncio.to_thread(self._reader.rows)
            except FairleadError:
                rows = 0
            if len(self.load.ids) - rows <= behind_rows:
                return
            await asyncio.sleep(_LOOK_S)

    async def _look(self) -> None:
        while True:
            self.looks += 1
            try:
                connection = await connect(self._service.port)
                answer = await connection.ask(_READY)
                connection.close()
            except OSError as error:
                self.unready[repr(error)] += 1
            else:
                if answer.status != _GOOD:
                    self.unready[f"status {answer.status}"] += 1
            await asyncio.sleep(_LOOK_S)


def _request(rows: int) -> NotedRequest:
    payload = V2_BINARY.encode(CNN, CNN.rows(rows))
    return NotedRequest(data=post(PATH, payload.headers, payload.body), rows=rows)


def tell(run: Run) -> None:
    """What happened, for the reader."""
    load, labeller = run.load, run.labeller
    print(f"outages: {', '.join(f'{kind} {times} times' for kind, times in run.made.items())}")
    print(
        f"{len(load.due_s):,} requests of {len(load.ids):,} rows, {load.failed} failed; {len(labeller.given):,} labels"
        f" acknowledged, {labeller.refused} times told to try again, otherwise {dict(labeller.broken) or 'nothing'};"
        f" {run.looks:,} looks at the health page, not ready {dict(run.unready) or 'never'}"
    )
    for name, spells in (("calm", run.calm), ("outages", run.outages), ("catching up", run.catching_up)):
        found = load.between(spells)
        print(f"{name}: {len(found):,} requests, p50 {p50(found):.2f} ms, p99 {p99(found):.2f} ms")
    print("\n".join(load.failures))


def judge(promises: Promises, run: Run, reader: LogReader, counts: LogCounts, kinds: tuple[Kind, ...]) -> None:
    """Hold what the clients know against what the database has."""
    load, labeller = run.load, run.labeller
    logged = reader.compare(set(load.ids))
    promises.at_least("outages of each kind", min(run.made[kind] for kind in kinds), 1)
    promises.at_most("failed predictions", load.failed, 0)
    promises.at_most("rows lost", logged.lost, 0)
    promises.at_most("rows logged twice", logged.doubled, 0)
    promises.at_most("rows that no client got", logged.unasked, 0)
    promises.at_most("rows that the counts miss or count twice", logged.miscounted, 0)
    promises.at_most("rows that no database takes", logged.dead, 0)
    promises.at_most("bytes given up", counts.dropped_bytes, 0)
    promises.at_least("labels acknowledged", len(labeller.given), 1)
    promises.at_most("acknowledged labels lost", reader.lost_labels(labeller.given), 0)
    promises.at_most("labels never taken", len(labeller.waiting), 0)
    promises.at_most("answers to labels that were neither", sum(labeller.broken.values()), 0)
    promises.at_most("looks that found the service not ready", sum(run.unready.values()), 0)
    calm_ms, outage_ms = p99(load.between(run.calm)), p99(load.between(run.outages))
    promises.takes_at_most("p99 in outages", outage_ms, max(1.2 * calm_ms, calm_ms + _NOISE_MS), " ms")
    promises.takes_at_most("longest time to catch up", max(run.recovered_s), _RECOVERY_S, " s")


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="of outages and calm in turn")
    parser.add_argument("--outage", type=float, default=10, help="seconds that an outage lasts, and calm about as long")
    parser.add_argument("--of", choices=_OF, default="database", help="what fails")
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--labels", type=float, default=0.2, help="share of the rows that are labelled")
    add_untimed_flag(parser)
    options = parser.parse_args()
    if not has_postgres():
        parser.exit(1, "outages needs PostgreSQL (Debian: postgresql)\n")
    leave_server_core()
    os.environ["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{free_port()}"
    promises = Promises(is_timed=not options.untimed)
    with tempfile.TemporaryDirectory() as name, postgres_server() as server, ThreadPoolExecutor(1) as pool:
        store = open_store(Path(name, "store"))
        publish(store, CNN)
        url = server.url(server.database())
        with LoggingService(store.root, Path(name), url, "--workers=2") as service, LogReader(url) as reader:
            run = Run(service, reader, options)
            uvloop.run(run.run(Outages(server, service, options.outage).make, pool))
            tell(run)
            judge(promises, run, reader, service.counts(), _OF[options.of])
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
