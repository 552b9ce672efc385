"""A steady open loop that notes the id of every answer, and when each request was due."""

from __future__ import annotations

import asyncio
import itertools
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.harness.connection import Answer, Connection, connect
from fairlead.serving.prediction_id import row_ids

__all__ = ["NotedLoad", "NotedRequest"]

_GOOD = 200
_SHOWN = 5
_TICK_S = 0.001
_LAST_ANSWERS_S = 30.0
_MAX_CONNECTIONS = 512
_ID = b"\r\nx-prediction-id: "


@dataclass(frozen=True, kw_only=True)
class NotedRequest:
    """The bytes of a request, and how many rows it has."""

    data: bytes
    rows: int = 1


class NotedLoad:
    """Sends requests when they are due, whatever became of those before, over connections that are kept.

    Args:
        port: on this machine.
        requests: are sent in turn.
        on_id: told the id of each row that was answered, at once.

    Attributes:
        ids: of all rows that were answered.
        due_s, took_ms: of each answered request, when it was due by the performance counter, and its latency from then.
        failed: requests without a good answer.
        failures: what became of the first of them.
    """

    def __init__(
        self, port: int, requests: Sequence[NotedRequest], on_id: Callable[[str], None] = lambda _: None
    ) -> None:
        self._port = port
        self._requests = itertools.cycle(requests)
        self._on_id = on_id
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self.ids: list[str] = []
        self.due_s = array("d")
        self.took_ms = array("d")
        self.failed = 0
        self.failures: list[str] = []

    async def run(self, *, rate: float, is_over: Callable[[], bool]) -> None:
        """Send `rate` requests a second at random intervals until `is_over`; return when the last was answered."""
        rng = np.random.default_rng(0)
        due = time.perf_counter()
        while not is_over():
            due += rng.exponential(1 / rate)
            while time.perf_counter() < due:  # noqa: ASYNC110 - what is waited for is the time
                await asyncio.sleep(_TICK_S)
            task = asyncio.create_task(self._ask(next(self._requests), due))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
        if self._busy:
            await asyncio.wait(self._busy, timeout=_LAST_ANSWERS_S)
        self.failed += len(self._busy)
        for connection in self._open:
            connection.close()

    def between(self, spells: Sequence[tuple[float, float]]) -> list[float]:
        """The latencies, in ms, of the requests that were due in one of these spells of the performance counter."""
        due, took = np.asarray(self.due_s), np.asarray(self.took_ms)
        is_in = np.zeros(len(due), bool)
        for begin, end in spells:
            is_in |= (due >= begin) & (due < end)
        found: list[float] = took[is_in].tolist()
        return found

    async def _ask(self, request: NotedRequest, due: float) -> None:
        try:
            connection = await self._connection()
            answer = await connection.ask(request.data)
        except OSError as error:
            self._fail(repr(error))
            return
        took_ms = (time.perf_counter() - due) * 1e3
        if connection.is_open:
            self._idle.append(connection)
        else:
            self._open.discard(connection)
        self._note(request, answer, due, took_ms)

    async def _connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
            self._open.discard(connection)
        if len(self._open) >= _MAX_CONNECTIONS:
            raise OSError(f"all {_MAX_CONNECTIONS} connections wait for answers")
        connection = await connect(self._port)
        self._open.add(connection)
        return connection

    def _note(self, request: NotedRequest, answer: Answer, due: float, took_ms: float) -> None:
        place = answer.head.find(_ID)
        if answer.status != _GOOD or place < 0:
            self._fail(f"status {answer.status}: {answer.head[:200]!r} {answer.body[:200]!r}")
            return
        self.due_s.append(due)
        self.took_ms.append(took_ms)
        id_ = answer.head[place + len(_ID) :].split(b"\r\n", 1)[0].decode()
        for row in row_ids(id_, request.rows):
            self.ids.append(row)
            self._on_id(row)

    def _fail(self, what: str) -> None:
        self.failed += 1
        if len(self.failures) < _SHOWN:
            self.failures.append(what)
