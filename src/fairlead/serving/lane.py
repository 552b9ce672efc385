"""The requests that wait for one version, and how fast it answers."""

from __future__ import annotations

import asyncio
import enum
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.spool_record import VersionRecord
from fairlead.servable.features.extractor import FeatureExtractor
from fairlead.servable.pyfunc.layout import PYFUNC_RUNTIME
from fairlead.servable.signature import Tensors
from fairlead.serving.allowance import Allowance
from fairlead.serving.answer import Answer
from fairlead.serving.batching import can_batch
from fairlead.serving.handle import Handle
from fairlead.serving.run_size import RunSize
from fairlead.telemetry.tracing import Step

__all__ = ["Lane", "LoggedVersion", "Reason", "Waiting"]

_RUN_S = 0.006
"""What a batch should take: on a CPU, larger ones gain nothing and leave the caches."""

_FEWEST_ROWS, _MOST_ROWS = 4, 256
_UNKNOWN_PACE_ROWS = 8
_WEIGHT = 0.2

Kind = tuple[object, ...] | frozenset[str] | None
"""What requests must have in common to run together: the outputs they want, and the shapes of their rows if they vary.
"""


class Reason(enum.StrEnum):
    """Why a batch was run when it was."""

    TURN = "turn"  # the loop's turn ended, and nothing else was being run
    FREE = "free"  # the run before it ended
    FULL = "full"  # no more rows fit
    DELAY = "delay"  # it had waited for company long enough


class Waiting:
    """A request that holds its version, has been decoded, and waits for its run.

    Args:
        id: under which it is logged.
        label: the version label that it asked for, or nothing.
        rows: how many it has.
        since: when it came, in seconds of the monotonic clock.
        deadline: when nobody wants the answer any more; None for never.
        answer: done when somebody answered, or when the caller went away or ran out of time.
        step: where it is noted what becomes of it, if it is traced.
    """

    __slots__ = ("answer", "deadline", "handle", "id", "inputs", "label", "outputs", "rows", "since", "step")

    def __init__(
        self,
        handle: Handle,
        inputs: Tensors,
        *,
        id: str,  # noqa: A002 - what it is called everywhere
        outputs: frozenset[str] | None,
        label: str,
        rows: int,
        since: float,
        deadline: float | None,
        answer: Answer,
        step: Step | None = None,
    ) -> None:
        self.handle = handle
        self.inputs = inputs
        self.id = id
        self.outputs = outputs
        self.label = label
        self.rows = rows
        self.since = since
        self.deadline = deadline
        self.answer = answer
        self.step = step

    def expire(self) -> None:
        """Tell the caller that it is too late."""
        if not self.answer.done():
            self.answer.set_exception(
                FairleadError(Code.DEADLINE_EXCEEDED, "the deadline passed before the model could answer")
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedVersion:
    """How the log knows a version.

    Attributes:
        record: what the spool is told of it.
        extractor: measures what drift is measured by; None where nothing is known of such rows.
        allowance: how many rows it may measure.
        is_batched: whether its requests have rows; else each request is logged as one.
        keeps_inputs: whether its inputs are kept.
    """

    record: VersionRecord
    extractor: FeatureExtractor | None
    allowance: Allowance
    is_batched: bool
    keeps_inputs: bool


@dataclass(slots=True)
class _Group:
    waiting: deque[Waiting] = field(default_factory=deque)
    rows: int = 0


class Lane:
    """What waits for one version, first come first served by kind, and the version's pace. Used in the event loop.

    Args:
        handle: any hold on the version.
        max_rows: rows that run together at most; None to let the pace decide.
        threads: how many batches run at once; of a model in a process of its own one.
        on_drop: told of each request that is let go because nobody waits for it any more.

    Attributes:
        model, version: what it is for.
        running: how many batches are being run.
        due: the call that will take the next batch, if there is one.
        pace_s: seconds a row, smoothed; None before the first run.
        waiting_rows: rows that wait, whatever their kind.
        is_graph: whether a run waits for other versions.
        is_elsewhere: whether a run waits for a process of the model's own.
        most_running: how many batches may be run at once.
        pool: where they are run, of such as wait for others to do it; None for the pool of all.
        logged: how the log knows the version; None where there is no log.
        refused_at: the monotonic second at which a request was refused last because too much waited here.
    """

    def __init__(self, handle: Handle, max_rows: int | None, threads: int, on_drop: Callable[[Waiting], None]) -> None:
        self.model = handle.manifest.model
        self.version = str(handle.manifest.version)
        self.is_graph = handle.manifest.graph is not None
        self.is_elsewhere = handle.manifest.runtime == PYFUNC_RUNTIME
        self.most_running = 1 if self.is_elsewhere else threads
        self.pool: ThreadPoolExecutor | None = None
        self.running = 0
        self.due: asyncio.Handle | None = None
        self.pace_s: float | None = None
        self.waiting_rows = 0
        self.logged: LoggedVersion | None = None
        self.refused_at = float("-inf")
        self._can_batch = can_batch(handle.manifest.signature)
        self._varies = any(-1 in spec.shape[1:] or spec.is_unranked for spec in handle.manifest.signature.inputs)
        self._fixed_rows = max_rows
        self._on_drop = on_drop
        self._run_size = RunSize()
        self._groups: dict[Kind, _Group] = {}

    @property
    def max_rows(self) -> int:
        """How many are taken together at most."""
        if not self._can_batch:
            return sys.maxsize
        if self._fixed_rows is not None:
            return self._fixed_rows
        if self.pace_s is None:
            return _UNKNOWN_PACE_ROWS
        fits = int(_RUN_S / max(self.pace_s, 1e-9))
        return min(max(1 << max(fits, 1).bit_length() - 1, _FEWEST_ROWS), _MOST_ROWS)

    @property
    def is_full(self) -> bool:
        """Whether what waits longest would fill a batch."""
        group = next(iter(self._groups.values()), None)
        return group is not None and (not self._can_batch or group.rows >= self.max_rows)

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return sum([len(group.waiting) for group in self._groups.values()])

    def age_s(self, now: float) -> float:
        """How long the first of those that wait has waited at the monotonic second `now`; 0 when none does."""
        return max([now - group.waiting[0].since for group in self._groups.values() if group.waiting], default=0.0)

    def put(self, request: Waiting) -> None:
        """Let `request` wait."""
        group = self._groups.get(kind := self._kind(request))
        if group is None:
            group = self._groups[kind] = _Group()
        group.waiting.append(request)
        group.rows += request.rows
        self.waiting_rows += request.rows

    def take(self, now: float) -> list[Waiting]:
        """The next requests to run together, in all at most `max_rows` rows unless one alone has more.

        Those that nobody waits for any more, or whose deadline is before `now`, are let go. Empty when none is left.
        """
        limit = self.max_rows
        while self._groups:
            kind, group = next(iter(self._groups.items()))
            batch = self._take(group, limit, now)
            del self._groups[kind]
            if group.waiting:
                self._groups[kind] = group  # behind the others: no kind keeps another waiting
            if batch:
                return batch
        return []

    def run_rows(self, rows: int) -> int:
        """How many of the `rows` that are taken together the version is given at a time."""
        return self._run_size.choose(rows, self.max_rows) if self._can_batch else sys.maxsize

    def ran(self, run_rows: int, runs: Sequence[tuple[int, float]]) -> None:
        """Learn from a batch that was to be run in parts of `run_rows`: the rows and seconds of each part."""
        for rows, seconds in runs:
            pace = seconds / rows
            self.pace_s = pace if self.pace_s is None else self.pace_s + _WEIGHT * (pace - self.pace_s)
            self._run_size.learn(run_rows, rows, seconds)

    def _kind(self, request: Waiting) -> Kind:
        if not self._varies:
            return request.outputs
        return request.outputs, *((name, array.shape[1:]) for name, array in request.inputs.items())

    def _take(self, group: _Group, limit: int, now: float) -> list[Waiting]:
        batch: list[Waiting] = []
        rows = 0
        while group.waiting:
            request = group.waiting[0]
            if batch and (not self._can_batch or rows + request.rows > limit):
                break
            group.waiting.popleft()
            group.rows -= request.rows
            self.waiting_rows -= request.rows
            if request.deadline is not None and request.deadline < now:
                request.expire()
            if request.answer.done():
                request.handle.release()
                self._on_drop(request)
            else:
                batch.append(request)
                rows += request.rows
        return batch
