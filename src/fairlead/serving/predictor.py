"""The one way from any protocol to a model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from weakref import finalize

from fairlead.errors import Code, FairleadError
from fairlead.metering.meter import ModelMeter
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Tensors
from fairlead.serving.admission import Admission
from fairlead.serving.answer import Answer
from fairlead.serving.batching import Joined, Outputs, can_batch, rows_of, run_together
from fairlead.serving.handle import Handle
from fairlead.serving.lane import Lane, Reason, Waiting
from fairlead.serving.manager import Manager
from fairlead.serving.prediction_id import PredictionIds
from fairlead.serving.prediction_log import Kept, PredictionLog
from fairlead.serving.statistics import Statistics
from fairlead.serving.target import Target
from fairlead.serving.watched import Watched
from fairlead.telemetry.batches import BatchMetrics
from fairlead.telemetry.tracing import Batch, Step, Trace

__all__ = ["MAX_ROWS", "Decode", "Prediction", "Predictor"]

MAX_ROWS = 10_000

Decode = Callable[[Manifest], Tensors]
"""Turns a request's body into the pinned version's inputs; may raise FairleadError."""

_MOST_ASKED = 1000
_INLINE_BYTES = 1 << 20
"""More are decoded beside the event loop: that takes milliseconds."""

_INLINE_S = 0.015
_HAND_OVER_S = 0.0002


class Prediction:
    """What one version answered; not changed once it is made.

    Args:
        id: under which it is logged; `.0`, `.1` ... follow it for each row where there are several.
        manifest: of the version that answered.
        outputs: by name, in the signature's order.
        rows: how many rows were predicted.
    """

    # A plain class: each request makes one, and a dataclass takes longer.
    __slots__ = ("id", "manifest", "outputs", "rows")

    def __init__(self, *, id: str, manifest: Manifest, outputs: dict[str, Array], rows: int) -> None:  # noqa: A002
        self.id = id
        self.manifest = manifest
        self.outputs = outputs
        self.rows = rows


class Predictor:
    """Answers requests from whatever the manager holds. Not safe in threads: it lives in the event loop that made it.

    Requests that are there at the same time run as one batch: those of one turn of the event loop, and those that come
    while all threads are at work on earlier ones. A request that is alone never waits for company.

    A short run is done in the event loop itself: handing it to a thread and back costs more than the loop loses by it.
    Not so a graph's: it waits for its members. Nor one of a model in a process of its own, which is waited for in a
    thread that is there for no other version: it may hang.

    Args:
        manager: lends the versions.
        metrics, statistics: told of every batch.
        meter: charges models for requests; None when they may be asked as often as one likes.
        log: where what was answered is written down, before anybody has the answer; None for nowhere.
        new_id: makes a prediction's id.
        threads: how many batches of one version run at once.
        max_in_flight, max_queue_s: bounds on what waits, see `Admission`.
        max_batch_rows: the largest batch; a larger request is run in parts. None lets each version's pace decide.
        max_batch_delay_s: how long a batch that is not full waits for company.
        max_rows: the largest request.
    """

    def __init__(
        self,
        manager: Manager,
        metrics: BatchMetrics,
        statistics: Statistics,
        *,
        threads: int,
        max_in_flight: int,
        max_batch_rows: int | None = None,
        max_batch_delay_s: float = 0.0,
        max_queue_s: float = 5.0,
        max_rows: int = MAX_ROWS,
        meter: ModelMeter | None = None,
        log: PredictionLog | None = None,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self._log = log
        self._meter = meter
        self._new_id = new_id or PredictionIds()
        self._manager = manager
        self._metrics = metrics
        self._statistics = statistics
        self._threads = threads
        self._admission = Admission(max_in_flight=max_in_flight, max_queue_s=max_queue_s)
        self._max_batch_rows = max_batch_rows
        self._max_batch_delay_s = max_batch_delay_s
        self._max_rows = max_rows
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[int, Lane] = {}  # by the servable's `id`, as long as it lives
        self._asked: dict[Target, Lane] = {}  # where the last request for each went, while nothing is tried beside it
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="predict")
        self._graph_pool = ThreadPoolExecutor(
            max_workers=threads, thread_name_prefix="graph"
        )  # it waits, and others run
        self._decoders = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")

    async def predict(
        self,
        target: Target,
        decode: Decode,
        *,
        outputs: Collection[str] | None = None,
        deadline: float | None = None,
        size: int = 0,
        key: str = "",
        tenant: str | None = None,
        trace: Trace | None = None,
    ) -> Prediction:
        """Pin the version that `target` means, decode the request for it, run it.

        Args:
            target: who should answer.
            decode: called with the pinned version's manifest.
            outputs: the names wanted; None for all.
            deadline: second of the monotonic clock after which nobody wants the answer: it is not computed then.
            size: bytes to decode; many are decoded beside the event loop.
            key: requests of one key are answered by one version while another is tried; without a key each for itself.
            tenant: whose the request is, so that nobody's keep another's out; None where callers are not told apart.
            trace: of the request; None when it is not traced.

        Raises:
            FairleadError: NOT_FOUND for an unknown model or a version that is not available, INVALID_ARGUMENT for an
                unknown label and for bad inputs, DEADLINE_EXCEEDED; OverloadError when too many requests wait,
                RateLimitError when the model is asked too often.
        """
        self._admission.check_room(self._in_flight, tenant)
        asked = self._asked.get(target)
        if asked is not None:  # most likely it is that one again: what is refused need not borrow the version
            self._admission.check_queue(asked, tenant)
        step = None if trace is None else trace.step()
        id_ = self._new_id()
        handle = self._manager.acquire(target, key or id_)
        loop = self._loop
        since = time.monotonic()
        self._in_flight += 1
        self._admission.hold(tenant)
        self._metrics.in_flight.set(self._in_flight)
        try:
            lane = self._lanes.get(id(handle.servable)) or self._open_lane(handle)
            try:
                if self._meter is not None:
                    self._meter.charge(handle.manifest.model)
                if lane is not asked:
                    self._admission.check_queue(lane, tenant)
                    self._remember(target, lane, handle)
                if size <= _INLINE_BYTES:
                    inputs = decode(handle.manifest)
                else:
                    inputs = await loop.run_in_executor(self._decoders, decode, handle.manifest)
                rows = self._check_inputs(inputs, handle.manifest)
                if step is not None:
                    step.parsed, step.rows = time.monotonic(), rows
            except BaseException:
                handle.release()
                if handle.shadow is not None:
                    handle.shadow.release()
                raise
            request = Waiting(
                handle,
                inputs,
                id=id_,
                outputs=None if outputs is None else frozenset(outputs),
                label=target.label or "",
                rows=rows,
                since=since,
                deadline=deadline,
                answer=Answer(loop),
                step=step,
            )
            lane.put(request)
            self._arrange(lane)
            if handle.shadow is not None:
                self._copy(request, handle.shadow)
            answer = await (request.answer if deadline is None else _in_time(request, deadline))
            if step is not None:
                step.answered = time.monotonic()
            return Prediction(id=id_, manifest=handle.manifest, outputs=answer, rows=rows)
        finally:
            self._in_flight -= 1
            self._admission.let_go(tenant)
            self._metrics.in_flight.set(self._in_flight)

    def show_waiting(self) -> None:
        """Bring the metrics of what waits up to date: for whoever comes by now and then, so that requests need not."""
        now = time.monotonic()
        found: dict[tuple[str, str], tuple[int, float]] = {}
        for lane in list(self._lanes.values()):  # a version that goes takes its lane along, in another thread
            depth, age_s = found.get((lane.model, lane.version), (0, 0.0))
            found[lane.model, lane.version] = (depth + lane.depth, max(age_s, lane.age_s(now)))
        for (model, version), (depth, age_s) in found.items():
            self._metrics.waits(model, version, depth, age_s)
        self._metrics.saturation.set(self._in_flight / self._max_in_flight)

    def close(self) -> None:
        """Let the threads go, once no request is left."""
        self._pool.shutdown()
        for lane in list(self._lanes.values()):
            if lane.pool is not None:
                lane.pool.shutdown()
        self._graph_pool.shutdown()
        self._decoders.shutdown()

    def _check_inputs(self, inputs: Tensors, manifest: Manifest) -> int:
        """How many rows there are, when all is as it should be."""
        manifest.signature.check_inputs(inputs)
        rows = rows_of(inputs)
        if rows > self._max_rows and can_batch(manifest.signature):
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"the request has {rows} rows; one may have {self._max_rows}, which FAIRLEAD_MAX_ROWS sets",
                hint="send fewer rows in one request, or raise FAIRLEAD_MAX_ROWS",
            )
        return rows

    # -- what waits ------------------------------------------------------------------------------------------------

    def _remember(self, target: Target, lane: Lane, handle: Handle) -> None:
        """Note where a request for `target` goes; while a candidate is tried each may go elsewhere."""
        if handle.is_tried:
            self._asked.pop(target, None)
        else:
            if len(self._asked) >= _MOST_ASKED:  # versions come and go, and may be asked by their numbers
                self._asked.clear()
            self._asked[target] = lane

    def _open_lane(self, handle: Handle) -> Lane:
        key = id(handle.servable)
        finalize(handle.servable, self._lanes.pop, key, None)
        lane = self._lanes[key] = Lane(handle, self._max_batch_rows, self._threads, self._count_dropped)
        if self._log is not None:
            lane.logged = self._log.open(handle.manifest)
        if lane.is_elsewhere:
            lane.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"model {lane.model}")
            finalize(handle.servable, lane.pool.shutdown, wait=False)
        elif lane.is_graph:
            lane.pool = self._graph_pool
        return lane

    def _copy(self, request: Waiting, shadow: Handle) -> None:
        """Give the candidate a copy, unless more than it can take waits there: the caller's own answer comes first."""
        lane = self._lanes.get(id(shadow.servable)) or self._open_lane(shadow)
        if lane.waiting_rows >= lane.max_rows or not _takes(shadow.manifest, request.inputs):
            shadow.release()
            return
        copy = Waiting(
            shadow,
            request.inputs,
            id=request.id,
            outputs=None,
            label="",
            rows=request.rows,
            since=request.since,
            deadline=None,
            answer=Answer(self._loop),
        )
        lane.put(copy)
        self._arrange(lane)

    def _count_dropped(self, request: Waiting) -> None:
        manifest = request.handle.manifest
        if request.answer.cancelled():
            self._metrics.cancelled(manifest.model, manifest.version)
        else:
            self._metrics.expired(manifest.model, manifest.version)

    # -- when a batch runs -----------------------------------------------------------------------------------------

    def _arrange(self, lane: Lane) -> None:
        """See to it that a batch is taken, at the end of this turn of the loop: whatever else it brings goes along."""
        if lane.running >= lane.most_running:
            return
        waits_for_company = self._max_batch_delay_s > 0 and not lane.is_full
        if lane.due is None:
            if waits_for_company:
                lane.due = self._loop.call_later(self._max_batch_delay_s, self._dispatch, lane, Reason.DELAY)
            else:
                lane.due = self._loop.call_soon(self._dispatch, lane, Reason.TURN)
        elif isinstance(lane.due, asyncio.TimerHandle) and not waits_for_company:
            lane.due.cancel()
            lane.due = self._loop.call_soon(self._dispatch, lane, Reason.TURN)

    def _dispatch(self, lane: Lane, reason: Reason) -> None:
        """Run a batch of what waits; the next one follows in the loop's next turn, so that answers leave between."""
        lane.due = None
        if lane.is_full:
            reason = Reason.FULL
        if not (batch := lane.take(time.monotonic())):
            return
        rows = sum([request.rows for request in batch])
        run_rows = lane.run_rows(rows)
        if self._is_short(lane, rows):
            self._finish(lane, batch, reason, self._run(lane, batch, run_rows))
        else:
            lane.running += 1
            (lane.pool or self._pool).submit(self._work, lane, batch, reason, run_rows)
        self._follow(lane)

    def _follow(self, lane: Lane) -> None:
        """See to what still waits. What does not fill a batch lets those in that the loop finds at the sockets now."""
        if lane.waiting_rows and lane.due is None and lane.running < lane.most_running:
            follow = self._dispatch if lane.is_full else self._let_in
            lane.due = self._loop.call_soon(follow, lane, Reason.FREE)

    def _let_in(self, lane: Lane, reason: Reason) -> None:
        lane.due = self._loop.call_soon(self._dispatch, lane, reason)

    def _is_short(self, lane: Lane, rows: int) -> bool:
        if lane.pace_s is None or lane.running or lane.pool is not None:
            return False
        limit = _INLINE_S if self._threads == 1 else _HAND_OVER_S
        return lane.pace_s * rows < limit

    def _work(self, lane: Lane, batch: list[Waiting], reason: Reason, run_rows: int) -> None:
        """In a thread: run the batch, and bring the answers back in one call."""
        run = self._run(lane, batch, run_rows)
        self._loop.call_soon_threadsafe(self._finish_work, lane, batch, reason, run)

    def _run(self, lane: Lane, batch: list[Waiting], run_rows: int) -> _Run:
        first, joined = batch[0], Joined([request.inputs for request in batch])
        log, logged = self._log, lane.logged
        seen = None if log is None or logged is None else log.look(logged, batch, joined)
        began = time.monotonic()
        watched = Watched(first.handle.servable)
        try:
            answers = run_together(watched, joined, first.outputs, run_rows)
        except Exception as error:  # noqa: BLE001 - a bug of ours: whoever waits must not wait for ever
            answers = [error] * len(batch)
        seconds = time.monotonic() - began
        kept = None
        if log is not None and logged is not None and seen is not None:
            kept = log.keep(logged, batch, answers, seen)
        return _Run(answers, run_rows, began, seconds, watched.runs, watched.nonfinite, kept)

    def _finish_work(self, lane: Lane, batch: list[Waiting], reason: Reason, run: _Run) -> None:
        lane.running -= 1
        self._finish(lane, batch, reason, run)
        self._follow(lane)

    def _finish(self, lane: Lane, batch: list[Waiting], reason: Reason, run: _Run) -> None:
        lane.ran(run.rows, run.runs)
        self._count(batch, [request.rows for request in batch], reason, run)
        steps = [request.step for request in batch if request.step is not None]
        if steps:
            _trace(steps, batch, reason, run)
            self._show_traced(batch, run)
        if self._log is not None and lane.logged is not None and run.kept is not None:
            self._log.write(lane.logged, batch, run.answers, run.kept, run.seconds)
        for request, answer in zip(batch, run.answers, strict=True):
            request.handle.release()
            if request.answer.done():
                continue
            if isinstance(answer, Exception):
                request.answer.set_exception(answer)
            else:
                request.answer.set_result(answer)

    def _count(self, batch: list[Waiting], rows: list[int], reason: Reason, run: _Run) -> None:
        id_ = batch[0].handle.manifest.id
        waited_s = [run.began - request.since for request in batch]
        self._metrics.ran(
            id_.model,
            id_.version,
            rows=sum(rows),
            waited=zip([request.label for request in batch], waited_s, strict=True),
            compute_s=run.seconds,
            reason=reason,
        )
        self._statistics.ran(
            id_,
            rows=rows,
            waited_s=waited_s,
            compute_s=run.seconds,
            failed=[isinstance(answer, Exception) for answer in run.answers],
        )
        if run.nonfinite:
            self._metrics.nonfinite(id_.model, id_.version, run.nonfinite)

    def _show_traced(self, batch: list[Waiting], run: _Run) -> None:
        id_ = batch[0].handle.manifest.id
        for request in batch:
            if request.step is not None:
                self._metrics.traced(
                    id_.model,
                    id_.version,
                    label=request.label,
                    trace_id=request.step.link[0],
                    waited_s=run.began - request.since,
                    compute_s=run.seconds,
                )


@dataclass(frozen=True, slots=True)
class _Run:
    """What became of a batch.

    Attributes:
        answers: what its requests get.
        rows: the largest run that was allowed.
        began: in seconds of the monotonic clock.
        seconds: that it took.
        runs, nonfinite: see `Watched`.
        kept: what the log keeps of it.
    """

    answers: list[Outputs | Exception]
    rows: int
    began: float
    seconds: float
    runs: list[tuple[int, float]]
    nonfinite: int
    kept: Kept | None


def _trace(steps: list[Step], batch: list[Waiting], reason: Reason, run: _Run) -> None:
    """Note a batch in those of its requests that are traced."""
    id_ = batch[0].handle.manifest.id
    traced = Batch(
        model=id_.model,
        version=id_.version,
        reason=reason,
        requests=len(batch),
        rows=sum([request.rows for request in batch]),
        runs=len(run.runs),
        began=run.began,
        ended=run.began + run.seconds,
        links=[step.link for step in steps],
    )
    for step in steps:
        step.batch = traced


def _takes(manifest: Manifest, inputs: Tensors) -> bool:
    """Whether another version takes what was decoded for the stable one."""
    try:
        manifest.signature.check_inputs(inputs)
    except FairleadError:
        return False
    return True


async def _in_time(request: Waiting, deadline: float) -> Outputs:
    """What `request` gets, or DEADLINE_EXCEEDED as soon as it is too late."""
    timer = asyncio.get_running_loop().call_at(deadline, request.expire)
    try:
        return await request.answer
    finally:
        timer.cancel()
