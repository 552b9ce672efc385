"""The one way from any protocol to a model."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from fairlead.errors import Code, FairleadError
from fairlead.servable.servable import Servable
from fairlead.serving.batching import Decode, Prediction, can_batch, run_together
from fairlead.serving.handle import Handle
from fairlead.serving.manager import Manager
from fairlead.serving.target import Target
from fairlead.telemetry import BatchMetrics

__all__ = ["Decode", "Prediction", "Predictor"]

Wanted = frozenset[str] | None


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """A request that holds its version and waits for its batch."""

    handle: Handle
    decode: Decode
    answer: asyncio.Future[Prediction]
    since: float


@dataclass(slots=True, kw_only=True, eq=False)
class _Queue:
    """The requests for one version and one choice of outputs; it lasts only while there are any."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    running: int = 0
    is_due: bool = False


class Predictor:
    """Answers requests from whatever the manager holds. All of it but the model's runs happens in the event loop.

    Requests that are there at the same time run as one batch: those of one turn of the event loop, and those that come
    while all threads are at work on earlier ones. A request that is alone never waits for company.

    Args:
        manager: lends the versions.
        metrics: told of every batch.
        threads: how many batches of one version run at once.
        max_in_flight: how many requests are held, those that wait included; more are refused.
        max_batch_rows: the largest batch; a larger request is run in parts.
    """

    def __init__(
        self, manager: Manager, metrics: BatchMetrics, *, threads: int, max_in_flight: int, max_batch_rows: int
    ) -> None:
        self._manager = manager
        self._metrics = metrics
        self._threads = threads
        self._max_in_flight = max_in_flight
        self._max_batch_rows = max_batch_rows
        self._in_flight = 0
        self._queues: dict[tuple[Servable, Wanted], _Queue] = {}
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="predict")

    async def predict(self, target: Target, decode: Decode, *, outputs: Collection[str] | None = None) -> Prediction:
        """Pin the version that `target` means, decode the request for it, run it.

        Args:
            target: who should answer.
            decode: called with the pinned version's manifest in a worker thread.
            outputs: the names wanted; None for all.

        Raises:
            FairleadError: NOT_FOUND for an unknown model or a version that is not available, INVALID_ARGUMENT for an
                unknown label and for bad inputs, UNAVAILABLE when too many requests are in flight.
        """
        self._admit()
        handle = self._manager.acquire(target)
        self._in_flight += 1
        try:
            waiting = _Waiting(
                handle=handle,
                decode=decode,
                answer=asyncio.get_running_loop().create_future(),
                since=time.perf_counter(),
            )
            self._enqueue(waiting, None if outputs is None else frozenset(outputs))
            return await waiting.answer
        finally:
            self._in_flight -= 1

    def close(self) -> None:
        """Let the threads go, once no request is left."""
        self._pool.shutdown()

    def _admit(self) -> None:
        if self._in_flight >= self._max_in_flight:
            raise FairleadError(
                Code.UNAVAILABLE,
                f"{self._in_flight} requests are in flight, the most this server holds",
                hint="try again shortly, or raise FAIRLEAD_MAX_IN_FLIGHT",
            )

    def _enqueue(self, request: _Waiting, outputs: Wanted) -> None:
        key = (request.handle.servable, outputs)
        queue = self._queues.setdefault(key, _Queue())
        queue.waiting.append(request)
        if not queue.is_due and queue.running < self._threads:
            queue.is_due = True
            # At the end of this turn of the loop: whatever else it brings goes along.
            asyncio.get_running_loop().call_soon(self._dispatch, key)

    def _dispatch(self, key: tuple[Servable, Wanted]) -> None:
        """Start a batch of what waits, as long as there is a thread for it."""
        queue = self._queues.get(key)
        if queue is None:  # its callers went away, and what was due with them
            return
        queue.is_due = False
        while queue.running < self._threads and (batch := self._take(queue)):
            queue.running += 1
            loop = asyncio.get_running_loop()
            self._pool.submit(self._work, loop, key, batch)
        if not queue.running:
            del self._queues[key]

    def _take(self, queue: _Queue) -> list[_Waiting]:
        """The next requests to run together; those whose callers went away are dropped."""
        batch: list[_Waiting] = []
        while queue.waiting and len(batch) < self._max_batch_rows:
            request = queue.waiting.popleft()
            if request.answer.cancelled():
                request.handle.release()
            else:
                batch.append(request)
            if batch and not can_batch(request.handle.manifest.signature):
                break
        return batch

    def _work(self, loop: asyncio.AbstractEventLoop, key: tuple[Servable, Wanted], batch: list[_Waiting]) -> None:
        """In a thread: run the batch, and bring the answers back in one call."""
        began = time.perf_counter()
        manifest = batch[0].handle.manifest
        decodes = [request.decode for request in batch]
        answers: list[Prediction | Exception]
        try:
            answers = run_together(key[0], manifest, decodes, key[1], self._max_batch_rows)
        except Exception as error:  # noqa: BLE001 - a bug of ours: whoever waits must not wait for ever
            answers = [error] * len(batch)
        loop.call_soon_threadsafe(self._finish, key, batch, answers, began)

    def _finish(
        self,
        key: tuple[Servable, Wanted],
        batch: list[_Waiting],
        answers: list[Prediction | Exception],
        began: float,
    ) -> None:
        for request, answer in zip(batch, answers, strict=True):
            request.handle.release()
            if request.answer.done():
                continue
            if isinstance(answer, Exception):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)
        manifest = batch[0].handle.manifest
        rows = sum(answer.rows for answer in answers if isinstance(answer, Prediction))
        self._metrics.ran(manifest.model, rows, [began - request.since for request in batch])
        self._queues[key].running -= 1
        self._dispatch(key)
