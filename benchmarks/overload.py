"""Ten times more requests than a server can answer: it should go on answering what it can, and refuse the rest at once.

The capacity is what wrk reaches on 64 connections, before and after: a machine that is shared is not as fast all the
time, so goodput is held against the mean of both. In between an open loop offers a multiple of the first, while the
health page is asked ten times a second; afterwards the service should be as before within ten seconds. The network is a
heavy one, so that a generator on one core can offer tenfold: what it did offer is printed.

    python -m benchmarks.overload [--seconds 600] [--factor 10]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import uvloop

from benchmarks.harness.connection import Connection, connect, post
from benchmarks.harness.dialects import V2_BINARY
from benchmarks.harness.fairlead import Service
from benchmarks.harness.latency import p99
from benchmarks.harness.load import Sample, missing_tools, rest_load
from benchmarks.harness.networks import HEAVY
from benchmarks.harness.open_loop import OpenLoop, Outcome
from benchmarks.harness.process import allow_many_connections, leave_server_core
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.store import open_store, publish

PATH = f"/v2/models/{HEAVY.name}/infer"
CONNECTIONS = 64
_CAPACITY_S = 10
_HEALTH = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n"
_HEALTH_EVERY_S = 0.1
_GOOD = 200
_CALM_ANSWERS = 20
_RECOVERY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Storm:
    """What was seen while more was offered than could be answered, and right after it."""

    outcome: Outcome
    health_ms: list[float]
    recovery_s: float


async def storm(port: int, request: bytes, *, rate: float, seconds: float) -> Storm:
    """Offer the load and look at the health page meanwhile; then wait until answers come as they did before."""
    calm_ms = await _calm(port, request)
    looking: list[float] = []
    health = asyncio.create_task(_look(port, looking))
    load = OpenLoop(port, request)
    await load.send(rate=rate, seconds=seconds)
    health.cancel()
    recovery_s = await _recovery(port, request, 2 * calm_ms)
    return Storm(outcome=await load.finish(), health_ms=looking, recovery_s=recovery_s)


async def _calm(port: int, request: bytes) -> float:
    """The slowest of some answers to a client that is alone, in ms."""
    connection = await connect(port)
    slowest = max([await _timed(connection, request) for _ in range(_CALM_ANSWERS)])
    connection.close()
    return slowest


async def _look(port: int, found_ms: list[float]) -> None:
    """Ask the health page for ever, on a new connection each time; no answer counts as an endless one."""
    while True:
        began = time.perf_counter()
        try:
            connection = await connect(port)
            answer = await connection.ask(_HEALTH)
            connection.close()
        except OSError:
            found_ms.append(float("inf"))
        else:
            found_ms.append((time.perf_counter() - began) * 1e3 if answer.status == _GOOD else float("inf"))
        await asyncio.sleep(_HEALTH_EVERY_S)


async def _recovery(port: int, request: bytes, calm_ms: float) -> float:
    """Seconds until answers in a row were good and quick."""
    began = calm_since = time.perf_counter()
    connection = await connect(port)
    calm = 0
    while calm < _CALM_ANSWERS and time.perf_counter() - began < _RECOVERY_S:
        if not connection.is_open:
            connection = await connect(port)
        if await _timed(connection, request) <= calm_ms:
            calm += 1
        else:
            calm, calm_since = 0, time.perf_counter()
    connection.close()
    return calm_since - began if calm == _CALM_ANSWERS else float("inf")


async def _timed(connection: Connection, request: bytes) -> float:
    """Milliseconds until a good answer; endless for any other."""
    began = time.perf_counter()
    try:
        answer = await connection.ask(request)
    except OSError:
        return float("inf")
    return (time.perf_counter() - began) * 1e3 if answer.status == _GOOD else float("inf")


def judge(promises: Promises, before: Sample, after: Sample, seen: Storm, offered: float) -> None:
    """Hold what was seen against P6's bars, and the capacity before and after."""
    outcome = seen.outcome
    print(
        f"offered {outcome.sent / outcome.sent_s:,.0f} a second; {len(outcome.accepted_ms):,} accepted,"
        f" {len(outcome.refused_ms):,} refused, errors {outcome.errors or 'none'}"
    )
    promises.at_least("share of the load that was really offered", outcome.sent / outcome.sent_s / offered, 0.95)
    promises.at_most("requests that found no connection", outcome.unsent, 0)
    promises.at_least(
        "goodput / capacity", len(outcome.accepted_ms) / outcome.sent_s / mean([before.rate, after.rate]), 0.9
    )
    promises.takes_at_most("p99 of the accepted", p99(outcome.accepted_ms), 2 * before.p99_ms, " ms")
    promises.takes_at_most("p99 of the refused", p99(outcome.refused_ms), 50, " ms")
    promises.at_most("neither answered nor refused properly", sum(outcome.errors.values()), 0)
    promises.takes_at_most("slowest health answer", max(seen.health_ms), 100, " ms")
    promises.takes_at_most("normal again after", seen.recovery_s, 10, " s")


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="of overload")
    parser.add_argument("--factor", type=float, default=10, help="offered load / capacity")
    add_untimed_flag(parser)
    options = parser.parse_args()
    if missing := missing_tools():
        parser.exit(1, f"overload needs {', '.join(missing)} (Debian: wrk, nghttp2-client, util-linux)\n")
    leave_server_core()
    allow_many_connections()
    payload = V2_BINARY.encode(HEAVY, HEAVY.rows(1))
    promises = Promises(is_timed=not options.untimed)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        publish(store, HEAVY)
        with Service(store.root) as service:
            url = f"http://127.0.0.1:{service.port}{PATH}"
            rest_load(url, payload, connections=CONNECTIONS, seconds=1)
            capacity = rest_load(url, payload, connections=CONNECTIONS, seconds=_CAPACITY_S)
            print(f"capacity {capacity.rate:,.0f} a second, p99 {capacity.p99_ms:,.0f} ms")
            usage = service.process.usage()
            offered = options.factor * capacity.rate
            request = post(PATH, payload.headers, payload.body)
            seen = uvloop.run(storm(service.port, request, rate=offered, seconds=options.seconds))
            growth = service.process.usage().resident_mb / usage.resident_mb - 1
            after = rest_load(url, payload, connections=CONNECTIONS, seconds=_CAPACITY_S)
            print(f"capacity afterwards {after.rate:,.0f} a second")
            judge(promises, capacity, after, seen, offered)
            promises.at_most("growth of memory", 100 * growth, 20, " %")
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
