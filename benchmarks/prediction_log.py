"""What the prediction log costs a server that is full, and whether the database keeps up when all is logged.

First the throughput at 64 connections, JSON images of the classic network one by one, with the log and without: two
servers on core 0, of which one is loaded at a time, in turns that begin with the one and the other; the database is
SQLite. The load is on core 1, which it leaves nearly idle, and so is the recorder: it is a process of its own that may
run anywhere. What a server loses that shares its only core with its recorder is measured too, and only noted.

Then an open loop at 2,000 predictions a second, on SQLite and on PostgreSQL, every id noted: each must be in the log
once, nothing may be dropped, and the database must not fall behind. PostgreSQL is that of the tests: it does not wait
for the disk.

    python -m benchmarks.prediction_log [--rounds 7] [--seconds 5] [--rate 2000] [--steady-seconds 60]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import uvloop

from benchmarks.harness.connection import post
from benchmarks.harness.databases import has_postgres, postgres_server
from benchmarks.harness.dialects import ROWS_JSON, V2_BINARY
from benchmarks.harness.latency import p50, p99
from benchmarks.harness.load import Sample, missing_tools, rest_load
from benchmarks.harness.log_counts import LogCounts
from benchmarks.harness.logged import Logged, LogReader
from benchmarks.harness.logging_service import LoggingService
from benchmarks.harness.networks import CNN, PERCEPTRON
from benchmarks.harness.noted_load import NotedLoad, NotedRequest
from benchmarks.harness.process import LOAD_CORE, SERVER_CORE, leave_server_core
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.store import open_store, publish

CONNECTIONS = 64
_LOOK_S = 1.0
_BEHIND_S = 5.0
"""How much of the load may wait for the database."""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """What a full server did, round by round.

    Attributes:
        rates: images a second.
        cpu_us: seconds of a core that the server's processes but the recorder used, by images.
    """

    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def add(self, sample: Sample, seconds: float, cpu_s: float) -> None:
        """Note a round of so many seconds."""
        if sample.errors:
            raise RuntimeError(f"{sample.errors} requests failed")
        self.rates.append(sample.rate)
        self.cpu_us.append(1e6 * cpu_s / (sample.rate * seconds))

    def __str__(self) -> str:
        rates = ", ".join(f"{rate:,.0f}" for rate in self.rates)
        return f"{rates} images a second, median {median(self.rates):,.0f}; {median(self.cpu_us):.1f} us of a core each"


def fall(folder: Path, *, rounds: int, seconds: int, recorder_core: int) -> float:
    """By how many percent the throughput is lower with the log: the median of the rounds."""
    store = open_store(folder / "store")
    publish(store, CNN)
    payload = ROWS_JSON.encode(CNN, CNN.rows(1))
    found = {True: Rounds(), False: Rounds()}
    with (
        LoggingService(store.root, folder / "on", f"sqlite:///{folder}/log.db") as logging,
        LoggingService(store.root, folder / "off", None) as silent,
    ):
        logging.pin_recorder(recorder_core)
        for number in range(-1, rounds):
            for is_on in (number % 2 == 0, number % 2 == 1):
                service = logging if is_on else silent
                logging.wait_until_shipped()
                url = f"http://127.0.0.1:{service.port}/v1/models/{CNN.name}:predict"
                before_s, _ = service.cpu_s()
                sample = rest_load(url, payload, connections=CONNECTIONS, seconds=seconds)
                if number >= 0:  # the first one warms up
                    found[is_on].add(sample, seconds, service.cpu_s()[0] - before_s)
        logging.wait_until_shipped()
        print(f"with the log: {found[True]}\nwithout it:   {found[False]}")
        shipped = logging.counts().shipped_rows
        print(f"the recorder took {1e6 * logging.cpu_s()[1] / max(shipped, 1):.0f} us a row, of {shipped:,}")
    pairs = zip(found[True].rates, found[False].rates, strict=True)
    return 100 * (1 - median([with_log / without for with_log, without in pairs]))


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a steady load left in the log.

    Attributes:
        load: what the clients saw.
        seconds: that it lasted.
        logged: what the log has of it.
        counts: of the log's metrics, at the end.
        behind_rows: at each look, how many of the answered rows the database had not taken.
        backlog_bytes: at each look.
        server_s, recorder_s: that a core was busy.
    """

    load: NotedLoad
    seconds: float
    logged: Logged
    counts: LogCounts
    behind_rows: list[int]
    backlog_bytes: list[int]
    server_s: float
    recorder_s: float


async def keep_up(service: LoggingService, url: str, *, rate: float, seconds: float) -> Kept:
    """Load the server, look how far the database is meanwhile, and read the log when all is shipped."""
    payload = V2_BINARY.encode(PERCEPTRON, PERCEPTRON.rows(1))
    request = post(f"/v2/models/{PERCEPTRON.name}/infer", payload.headers, payload.body)
    load = NotedLoad(service.port, [NotedRequest(data=request)])
    before = service.cpu_s()
    began = time.perf_counter()
    running = asyncio.create_task(load.run(rate=rate, is_over=lambda: time.perf_counter() > began + seconds))
    behind_rows, backlog_bytes = [], []
    while not running.done():
        counts = await asyncio.to_thread(service.counts)
        behind_rows.append(len(load.ids) - counts.shipped_rows)
        backlog_bytes.append(counts.backlog_bytes)
        await asyncio.sleep(_LOOK_S)
    took_s = time.perf_counter() - began
    await asyncio.to_thread(service.wait_until_shipped)
    after = service.cpu_s()
    with LogReader(url) as reader:
        logged = reader.compare(set(load.ids))
    return Kept(
        load=load,
        seconds=took_s,
        logged=logged,
        counts=service.counts(),
        behind_rows=behind_rows,
        backlog_bytes=backlog_bytes,
        server_s=after[0] - before[0],
        recorder_s=after[1] - before[1],
    )


def judge(promises: Promises, name: str, kept: Kept, rate: float) -> None:
    """Every row is there, and the database did not fall behind."""
    load, logged = kept.load, kept.logged
    print(
        f"{name}: {len(load.ids) / kept.seconds:,.0f} predictions a second, p50 {p50(load.took_ms):.2f} ms,"
        f" p99 {p99(load.took_ms):.1f} ms; the server kept {kept.server_s / kept.seconds:.0%} of a core busy,"
        f" its recorder {kept.recorder_s / kept.seconds:.0%}; at most {max(kept.backlog_bytes):,} bytes waited"
    )
    print("".join(f"{failure}\n" for failure in load.failures), end="")
    promises.at_least(f"{name}: predictions a second", len(load.ids) / kept.seconds, 0.95 * rate)
    promises.at_most(f"{name}: failed predictions", load.failed, 0)
    promises.at_most(f"{name}: bytes given up", kept.counts.dropped_bytes, 0)
    promises.at_most(f"{name}: rows lost", logged.lost, 0)
    promises.at_most(
        f"{name}: rows doubled, unasked or miscounted", logged.doubled + logged.unasked + logged.miscounted, 0
    )
    promises.at_most(f"{name}: rows behind", max(kept.behind_rows), _BEHIND_S * rate)


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5, help="that a round lasts, with the log and without")
    parser.add_argument("--rate", type=float, default=2000, help="predictions a second of the steady load")
    parser.add_argument("--steady-seconds", type=float, default=60, help="that the steady load lasts")
    add_untimed_flag(parser)
    options = parser.parse_args()
    if missing := [*missing_tools(), *([] if has_postgres() else ["PostgreSQL"])]:
        parser.exit(1, f"prediction_log needs {', '.join(missing)} (Debian: wrk, nghttp2-client, postgresql)\n")
    leave_server_core()
    promises = Promises(is_timed=not options.untimed)
    with tempfile.TemporaryDirectory() as name:
        fallen = fall(Path(name), rounds=options.rounds, seconds=options.seconds, recorder_core=LOAD_CORE)
        promises.takes_at_most("fall of the throughput with the log", fallen, 5, " %")
    with tempfile.TemporaryDirectory() as name:
        fallen = fall(Path(name), rounds=options.rounds, seconds=options.seconds, recorder_core=SERVER_CORE)
        print(f"noted  fall where the recorder shares the server's core: {fallen:.2f} %", flush=True)
    with tempfile.TemporaryDirectory() as name, postgres_server() as server:
        store = open_store(Path(name, "store"))
        publish(store, PERCEPTRON)
        urls = {"SQLite": f"sqlite:///{name}/steady.db", "PostgreSQL": server.url(server.database())}
        for title, url in urls.items():
            with LoggingService(store.root, Path(name, title), url) as service:
                kept = uvloop.run(keep_up(service, url, rate=options.rate, seconds=options.steady_seconds))
            judge(promises, title, kept, options.rate)
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
