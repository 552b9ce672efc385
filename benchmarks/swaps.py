"""Promotions and rollbacks under a steady load of 8 kept-alive connections: failed requests, and what a swap costs.

The server runs two versions by turns, a swap every quarter of a second; each answer is checked to come from one whole
version. The same load without swaps stands beside it. The bar is 0 failed requests.

    python benchmarks/swaps.py [--seconds 20]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

CONNECTIONS = 8
SWAP_EVERY_S = 0.25


@dataclass
class Outcome:
    """What the clients saw."""

    latencies_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    versions: set[int] = field(default_factory=set)

    def report(self, title: str, swaps: int) -> None:
        """One line."""
        ranked = statistics.quantiles(self.latencies_ms, n=1000)
        print(
            f"{title:12} {len(self.latencies_ms):,} requests, {swaps} swaps, versions {sorted(self.versions)},"
            f" {len(self.failures)} failed;"
            f" p50 {ranked[499]:.2f} ms, p99 {ranked[989]:.2f} ms, worst {max(self.latencies_ms):.1f} ms"
        )
        for failure in self.failures[:5]:
            print(f"  {failure}")


async def client(port: int, until: float, outcome: Outcome) -> None:
    """Ask one row after the other on one connection, opened again when the server closes it."""
    body = json.dumps({"instances": np.zeros((1, 28, 28, 1)).tolist()}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        began = time.perf_counter()
        try:
            writer.write(head + body)
            answer = await read_answer(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            outcome.failures.append(f"{type(error).__name__}: {error}")
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        outcome.latencies_ms.append((time.perf_counter() - began) * 1e3)
        prediction = answer.get("predictions", [{}])[0]
        if prediction.get("label") != str(answer.get("version")):  # the model's digit is its version's number
            outcome.failures.append(json.dumps(answer)[:200])
        else:
            outcome.versions.add(answer["version"])
    writer.close()


async def read_answer(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The JSON of one response."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    decoded: dict[str, Any] = json.loads(await reader.readexactly(length))
    return decoded


async def load(port: int, seconds: float, swap: Callable[[int], None] | None) -> tuple[Outcome, int]:
    """Run the clients for `seconds`, and `swap` beside them; what they saw, and how many swaps there were."""
    outcome, until, turn = Outcome(), time.perf_counter() + seconds, 0
    clients = [asyncio.create_task(client(port, until, outcome)) for _ in range(CONNECTIONS)]
    while swap and time.perf_counter() < until:
        await asyncio.to_thread(swap, turn)
        turn += 1
        await asyncio.sleep(SWAP_EVERY_S)
    await asyncio.gather(*clients)
    return outcome, turn


def wait_ready(port: int) -> None:
    """Return once the server answers."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                probe.sendall(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if b" 200 " in probe.recv(100):
                    return
        time.sleep(0.02)
    sys.exit("the server did not become ready")


def main() -> None:
    """Measure without swaps, then with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        store = WritableStore(Path(name) / "store", now=lambda: datetime.now(UTC), who="bench")
        for digit in (1, 2):
            publish_digit(store, "digits", digit)
        store.promote(ServableId("digits", 1), why="")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", "fairlead.cli.main", "serve", "--store", str(store.root)]
        process = subprocess.Popen(
            [*command, "--rest-port", str(port), "--poll-interval-s", "0.05"], stderr=subprocess.DEVNULL
        )

        def swap(turn: int) -> None:
            if turn % 2 == 0:
                store.promote(ServableId("digits", 2), why="")
            else:
                store.rollback("digits", why="")

        try:
            wait_ready(port)
            for title, action in (("steady:", None), ("with swaps:", swap)):
                outcome, swaps = asyncio.run(load(port, seconds, action))
                outcome.report(title, swaps)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


if __name__ == "__main__":
    main()
