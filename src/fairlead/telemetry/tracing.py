"""Which requests are traced, and what is noted of them: ids and times. What becomes of it is for a sink to know.

Nothing is made for a request that is not traced.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from fairlead.telemetry.instruments import CounterSeries

__all__ = ["Batch", "Ending", "Link", "Sink", "Step", "Trace", "Tracer"]

_PARENT = re.compile(rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
_STATE_BYTES = 512

Link = tuple[str, str]
"""The ids of a trace and of a span in it, as hexadecimal digits."""
_MOST_STEPS = 16
"""A stream of gRPC may bring any number of predictions; the first ones are shown."""


class Batch:
    """What ran together, of which at least one request is traced; a trace of its own.

    Args:
        model, version: what ran it.
        reason: why it was run when it was.
        requests, rows: how many, those that are not traced included.
        runs: parts in which the model was given the rows.
        began, ended: in seconds of the monotonic clock.
        links: to the requests that are traced.

    Attributes:
        is_sent: for the sink to note that it knows the batch, which several traces refer to.
    """

    __slots__ = (
        "began",
        "ended",
        "is_sent",
        "links",
        "model",
        "reason",
        "requests",
        "rows",
        "runs",
        "span_id",
        "trace_id",
        "version",
    )

    def __init__(
        self,
        *,
        model: str,
        version: int,
        reason: str,
        requests: int,
        rows: int,
        runs: int,
        began: float,
        ended: float,
        links: list[Link],
    ) -> None:
        self.trace_id = os.urandom(16).hex()
        self.span_id = os.urandom(8).hex()
        self.model = model
        self.version = version
        self.reason = reason
        self.requests = requests
        self.rows = rows
        self.runs = runs
        self.began = began
        self.ended = ended
        self.links = links
        self.is_sent = False


class Step:
    """One prediction of a traced request: monotonic seconds, each 0 until it is reached.

    Args:
        link: to the request's span.
        began: when the request's body, or what was left of it, was taken up.

    Attributes:
        parsed: when the model's inputs were there.
        rows: how many they have.
        batch: what they ran in; None until they have.
        answered: when whoever asked had the outputs.
    """

    __slots__ = ("answered", "batch", "began", "link", "parsed", "rows")

    def __init__(self, link: Link, began: float) -> None:
        self.link = link
        self.began = began
        self.parsed = 0.0
        self.rows = 0
        self.batch: Batch | None = None
        self.answered = 0.0


class Ending(NamedTuple):
    """What is said of a request: the name of its span, its attributes, and whether the server failed."""

    name: str
    attributes: Mapping[str, str | int]
    is_failed: bool


class Trace:
    """A request that is traced.

    Args:
        trace_id: 32 hexadecimal digits.
        parent_id: the caller's span, 16 of them; empty when the trace begins here.
        state: the caller's `tracestate`.
        arrived: the monotonic second at which the request came.

    Attributes:
        span_id: the request's own span.
        began: the monotonic second at which it was taken up.
        wall_ns: the same, in nanoseconds since 1970.
        steps: its predictions.
        ending: what is said of it once it has ended.
        ended: the monotonic second at which it had.
    """

    __slots__ = (
        "arrived",
        "began",
        "ended",
        "ending",
        "parent_id",
        "span_id",
        "state",
        "steps",
        "trace_id",
        "wall_ns",
    )

    def __init__(self, trace_id: str, parent_id: str, state: str, arrived: float) -> None:
        self.trace_id = trace_id
        self.span_id = os.urandom(8).hex()
        self.parent_id = parent_id
        self.state = state
        self.arrived = arrived
        self.began = time.monotonic()
        self.wall_ns = time.time_ns()
        self.steps: list[Step] = []
        self.ending: Ending | None = None
        self.ended = 0.0

    @property
    def response(self) -> bytes:
        """The `traceresponse` that tells the caller where to look."""
        return b"00-%b-%b-01" % (self.trace_id.encode(), self.span_id.encode())

    def step(self) -> Step | None:
        """Note that a prediction begins; None when enough were noted."""
        steps = self.steps
        if len(steps) >= _MOST_STEPS:
            return None
        step = Step((self.trace_id, self.span_id), time.monotonic() if steps else self.began)
        steps.append(step)
        return step


class Sink(Protocol):
    """Where traces go."""

    def put(self, trace: Trace) -> None:
        """Take a trace that has ended; never waits."""


class Tracer:
    """Decides which requests are traced. Used in the event loop.

    A caller who traces decides for us: what it samples is traced here too, what it does not is not.

    Args:
        sink: where traces go.
        sample: the share of the requests that no caller has decided on.
        limit: traces a second at most, whoever wants them.
        on_limit: counts those that were over it.
    """

    def __init__(self, sink: Sink, *, sample: float, limit: int, on_limit: CounterSeries) -> None:
        self._sink = sink
        self._sample = sample
        self._limit = limit
        self._on_limit = on_limit
        self._second = 0
        self._taken = 0

    def begin(self, parent: bytes, state: bytes, arrived: float) -> Trace | None:
        """What a request is noted in; None when it is not traced.

        Args:
            parent: its `traceparent`, as the client wrote it; what is malformed counts as nothing.
            state: its `tracestate`.
            arrived: the monotonic second at which it came.
        """
        found = _PARENT.fullmatch(parent) if parent else None
        if found is not None and (found[1] != b"00" or found[5] is None):
            if not int(found[4], 16) & _SAMPLED or not self._has_room():
                return None
            shown = state.decode("latin-1") if len(state) <= _STATE_BYTES else ""
            return Trace(found[2].decode(), found[3].decode(), shown, arrived)
        if random.random() >= self._sample or not self._has_room():  # noqa: S311 - nobody gains by guessing it
            return None
        return Trace(os.urandom(16).hex(), "", "", arrived)

    def end(self, trace: Trace, ending: Ending) -> None:
        """Send what became of a request on its way."""
        trace.ended = time.monotonic()
        trace.ending = ending
        self._sink.put(trace)

    def _has_room(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        if self._taken >= self._limit:
            self._on_limit.inc()
            return False
        self._taken += 1
        return True
