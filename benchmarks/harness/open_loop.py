"""Load that does not wait: requests leave when they are due, whatever became of those before them.

Latency counts from the moment a request was due, so a generator that falls behind cannot hide what a user would feel.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.harness.connection import Answer, Connection, connect

__all__ = ["OpenLoop", "Outcome"]

_GOOD, _REFUSED = 200, 503
_TICK_S = 0.001
_MAX_CONNECTIONS = 4000
_LAST_ANSWERS_S = 30.0


@dataclass(kw_only=True)
class Outcome:
    """What became of the requests; latencies in ms.

    Attributes:
        sent_s: how long the sending took.
        sent: requests that left.
        unsent: that were due while all connections were busy.
        accepted_ms, refused_ms: of 200 and of 503 with Retry-After.
        errors: anything else, by what it was.
    """

    sent_s: float = 0.0
    sent: int = 0
    unsent: int = 0
    accepted_ms: array[float] = field(default_factory=lambda: array("d"))
    refused_ms: array[float] = field(default_factory=lambda: array("d"))
    errors: dict[str, int] = field(default_factory=dict)

    def note(self, due: float, asked: asyncio.Future[Answer]) -> None:
        """File what came of a request that was due at `due`."""
        took_ms = (time.perf_counter() - due) * 1e3
        if error := asked.exception():
            self.fail(repr(error))
        elif asked.result().status == _GOOD:
            self.accepted_ms.append(took_ms)
        elif asked.result().status == _REFUSED and b"\r\nretry-after:" in asked.result().head:
            self.refused_ms.append(took_ms)
        else:
            self.fail(f"status {asked.result().status}")

    def fail(self, what: str) -> None:
        """Count an error."""
        self.errors[what] = self.errors.get(what, 0) + 1


class OpenLoop:
    """Sends one request again and again, over as many connections as it takes.

    Args:
        port: on this machine.
        request: the bytes of it.
    """

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._idle: list[Connection] = []
        self._open = 0
        self._busy: set[asyncio.Future[Answer]] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._outcome = Outcome()

    async def send(self, *, rate: float, seconds: float) -> None:
        """Send `rate` requests a second, at random intervals; return when the last has left."""
        gaps = np.random.default_rng(0).exponential(1 / rate, int(rate * seconds))
        began = time.perf_counter()
        for due in (began + np.cumsum(gaps)).tolist():
            while time.perf_counter() < due:  # noqa: ASYNC110 - what is waited for is the time
                await asyncio.sleep(_TICK_S)
            self._send(due)
        self._outcome.sent_s = time.perf_counter() - began

    async def finish(self) -> Outcome:
        """Wait for the last answers, half a minute at most, and close the connections."""
        if self._opening:
            await asyncio.wait(self._opening, timeout=_LAST_ANSWERS_S)
        if self._busy:
            await asyncio.wait(self._busy, timeout=_LAST_ANSWERS_S)
        for connection in self._idle:
            connection.close()
        return self._outcome

    def _send(self, due: float) -> None:
        while self._idle and not self._idle[-1].is_open:
            self._idle.pop()
            self._open -= 1
        if self._idle:
            self._ask(self._idle.pop(), due)
        elif self._open < _MAX_CONNECTIONS:
            self._open += 1
            opening = asyncio.create_task(self._connect(due))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)
        else:
            self._outcome.unsent += 1

    async def _connect(self, due: float) -> None:
        try:
            connection = await connect(self._port)
        except OSError as error:
            self._open -= 1
            self._outcome.fail(repr(error))
        else:
            self._ask(connection, due)

    def _ask(self, connection: Connection, due: float) -> None:
        self._outcome.sent += 1
        asked = connection.ask(self._request)
        self._busy.add(asked)
        asked.add_done_callback(self._answered(connection, due))

    def _answered(self, connection: Connection, due: float) -> Callable[[asyncio.Future[Answer]], None]:
        def note(asked: asyncio.Future[Answer]) -> None:
            self._busy.discard(asked)
            self._outcome.note(due, asked)
            self._idle.append(connection)

        return note
