"""A client that labels some of the predictions, and says a label again until it is told that it was taken in."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, deque

import orjson

from benchmarks.harness.connection import Answer, Connection, connect, post

__all__ = ["Labeller"]

_GOOD, _TRY_AGAIN = 200, 503
_RETRY_AFTER = b"\r\nretry-after: "
_MOST_AT_ONCE = 200
_IDLE_S = 0.05
_RETRY_S = 0.25
_PATIENCE_S = 60.0
"""How long it goes on after there is nothing new."""


class Labeller:
    """Labels a share of what it is offered.

    Args:
        port: of the service, on this machine.
        share: of the predictions that get a label.

    Attributes:
        given: the labels that were acknowledged, by prediction.
        waiting: those that were not yet.
        refused: answers that said "try again", and when.
        broken: everything else that was no acknowledgement.
    """

    def __init__(self, port: int, share: float) -> None:
        self._port = port
        self._share = share
        self._random = random.Random(0)  # noqa: S311 - a choice of predictions, no secret
        self._connection: Connection | None = None
        self.given: dict[str, str] = {}
        self.waiting: deque[tuple[str, str]] = deque()
        self.refused = 0
        self.broken: Counter[str] = Counter()
        self.is_over = False

    def offer(self, prediction_id: str) -> None:
        """Label the prediction, or do not."""
        if self._random.random() < self._share:
            self.waiting.append((prediction_id, str(self._random.randrange(10))))

    async def run(self) -> None:
        """Give labels until `is_over`, and then those that still wait, for a minute at most."""
        deadline = float("inf")
        while (not self.is_over or self.waiting) and time.monotonic() < deadline:
            if self.is_over and deadline == float("inf"):
                deadline = time.monotonic() + _PATIENCE_S
            await asyncio.sleep(await self._give() if self.waiting else _IDLE_S)
        if self._connection is not None:
            self._connection.close()

    async def _give(self) -> float:
        """Send what waits longest; the seconds until there may be more to do."""
        some = [self.waiting[place] for place in range(min(len(self.waiting), _MOST_AT_ONCE))]
        said = {"labels": [{"prediction_id": id_, "label": label} for id_, label in some]}
        try:
            answer = await self._ask(post("/feedback", {"content-type": "application/json"}, orjson.dumps(said)))
        except OSError as error:
            self.broken[repr(error)] += 1
            return _RETRY_S
        if answer.status == _GOOD:
            for _ in some:
                self.waiting.popleft()
            self.given.update(some)
            return _IDLE_S
        return self._retry_s(answer)

    def _retry_s(self, answer: Answer) -> float:
        place = answer.head.find(_RETRY_AFTER)
        if answer.status != _TRY_AGAIN or place < 0:
            self.broken[f"status {answer.status}: {answer.body[:200]!r}"] += 1
            return _RETRY_S
        self.refused += 1
        return float(answer.head[place + len(_RETRY_AFTER) :].split(b"\r\n", 1)[0])

    async def _ask(self, request: bytes) -> Answer:
        if self._connection is None or not self._connection.is_open:
            self._connection = await connect(self._port)
        return await self._connection.ask(request)
