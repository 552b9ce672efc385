"""Thousands of clients that trickle a header or a body: each is cut at the deadline, and good clients hardly notice.

Half of the slow clients send a byte of a header now and then, the others a byte of a body. They go on for ever; the
server has to end them. A few good clients ask one after the other, before and meanwhile.

    python -m benchmarks.slow_clients [--clients 5000] [--header-timeout 10] [--body-timeout 30]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from array import array
from pathlib import Path
from typing import cast

import uvloop

from benchmarks.harness.connection import connect, post
from benchmarks.harness.dialects import V2_BINARY
from benchmarks.harness.fairlead import Service
from benchmarks.harness.latency import p99
from benchmarks.harness.networks import CNN
from benchmarks.harness.process import allow_many_connections, leave_server_core
from benchmarks.harness.promises import Promises, add_untimed_flag
from benchmarks.harness.store import open_store, publish

PATH = f"/v2/models/{CNN.name}/infer"
GOOD_CLIENTS = 4
_CALM_S = 3.0
_BYTE_EVERY_S = 2.0
_OPENED_A_SECOND = 1000
_GRACE_S = 5.0
_GOOD = 200
_PREAMBLE = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\n"
_HEADER = _PREAMBLE.encode() + b"x-slow: "
_BODY = _PREAMBLE.encode() + b"content-length: 100000\r\n\r\n"


class Trickle(asyncio.Protocol):
    """A client that has sent `start` and goes on with a byte now and then, until the server ends it."""

    def __init__(self, start: bytes) -> None:
        self.start = start
        self._began = time.perf_counter()
        self.lasted_s = float("inf")
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._began = time.perf_counter()
        self._transport.write(self.start)
        self._next = asyncio.get_running_loop().call_later(_BYTE_EVERY_S, self._trickle)

    def connection_lost(self, _: Exception | None) -> None:
        self._next.cancel()
        self.lasted_s = time.perf_counter() - self._began
        self.ended.set_result(None)

    def _trickle(self) -> None:
        self._transport.write(b"x")
        self._next = asyncio.get_running_loop().call_later(_BYTE_EVERY_S, self._trickle)


async def good_clients(port: int, request: bytes, until: asyncio.Future[None]) -> tuple[array[float], int]:
    """Ask in a closed loop until a future is done; latencies in ms, and how many answers were not good."""
    latencies_ms, failed = array("d"), 0

    async def client() -> None:
        nonlocal failed
        connection = await connect(port)
        while not until.done():
            began = time.perf_counter()
            try:
                answer = await connection.ask(request)
            except OSError:
                failed += 1
                connection = await connect(port)
                continue
            latencies_ms.append((time.perf_counter() - began) * 1e3)
            failed += answer.status != _GOOD
        connection.close()

    await asyncio.gather(*(client() for _ in range(GOOD_CLIENTS)))
    return latencies_ms, failed


async def slow_clients(port: int, clients: int, deadline_s: float) -> list[Trickle]:
    """Open them all at an even pace, and return when the server has ended them or its deadline is long past."""
    loop = asyncio.get_running_loop()
    slow = []
    for number in range(clients):
        start = _BODY if number % 2 else _HEADER
        _, trickle = await loop.create_connection(lambda start=start: Trickle(start), "127.0.0.1", port)  # type: ignore[misc]
        slow.append(trickle)
        await asyncio.sleep(1 / _OPENED_A_SECOND)
    await asyncio.wait([trickle.ended for trickle in slow], timeout=deadline_s + _GRACE_S)
    return slow


async def measure(port: int, options: argparse.Namespace) -> Promises:
    """Good clients alone, then beside the slow ones."""
    loop = asyncio.get_running_loop()
    payload = V2_BINARY.encode(CNN, CNN.rows(1))
    request = post(PATH, payload.headers, payload.body)
    calm: asyncio.Future[None] = loop.create_future()
    loop.call_later(_CALM_S, calm.set_result, None)
    calm_ms, _ = await good_clients(port, request, calm)
    crowded: asyncio.Future[None] = loop.create_future()
    good = asyncio.create_task(good_clients(port, request, crowded))
    slow = await slow_clients(port, options.clients, max(options.header_timeout, options.body_timeout))
    crowded.set_result(None)
    crowded_ms, failed = await good
    promises = Promises(is_timed=not options.untimed)
    for what, start, deadline_s in (
        ("a header", _HEADER, options.header_timeout),
        ("a body", _BODY, options.body_timeout),
    ):
        lasted = [trickle.lasted_s for trickle in slow if trickle.start is start]
        promises.at_most(
            f"the last of {len(lasted):,} that trickle {what} is cut after", max(lasted), deadline_s + 2, " s"
        )
        promises.at_least("and the first after", min(lasted), deadline_s - 1, " s")
    promises.at_most("failed requests of good clients", failed, 0)
    promises.takes_at_most("p99 of good clients", p99(crowded_ms), 2 * p99(calm_ms), " ms")
    return promises


def main() -> int:
    """Measure; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=5000)
    parser.add_argument("--header-timeout", type=float, default=10, help="seconds, a setting of the server")
    parser.add_argument("--body-timeout", type=float, default=30, help="seconds, a setting of the server")
    add_untimed_flag(parser)
    options = parser.parse_args()
    leave_server_core()
    allow_many_connections()
    timeouts = [f"--header-timeout-s={options.header_timeout}", f"--body-timeout-s={options.body_timeout}"]
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        publish(store, CNN)
        with Service(store.root, *timeouts) as service:
            return uvloop.run(measure(service.port, options)).exit_status


if __name__ == "__main__":
    sys.exit(main())
