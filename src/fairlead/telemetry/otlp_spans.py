"""A trace as OpenTelemetry's spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from fairlead.telemetry.tracing import Batch, Step, Trace

__all__ = ["SpanMaker"]

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_FINE, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
_NS = 1_000_000_000
Attributes = Mapping[str, str | int]


class SpanMaker:
    """Makes the spans of traces: the request; in it parse, queue, compute and encode; the batch, a trace of its own.

    A batch has as many parents as requests, so it is linked: to each request that is traced, and from its compute.

    Args:
        resource: what the process is.
    """

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._scope = InstrumentationScope("fairlead")
        self._ids = RandomIdGenerator()

    def spans(self, trace: Trace) -> Iterator[ReadableSpan]:
        """The spans of `trace`, and of the batches that no trace before has brought."""
        ending = trace.ending
        if ending is None:
            return
        state = TraceState.from_header([trace.state]) if trace.state else None
        root = _context(trace.trace_id, trace.span_id, state)
        yield self._span(
            trace,
            ending.name,
            (trace.arrived, trace.ended),
            context=root,
            parent=_context(trace.trace_id, trace.parent_id, state, is_remote=True) if trace.parent_id else None,
            attributes=ending.attributes,
            kind=SpanKind.SERVER,
            status=_FAILED if ending.is_failed else _FINE,
        )
        for step in trace.steps:
            yield from self._step(trace, step, root)
        if trace.steps and (answered := trace.steps[-1].answered):
            yield self._child(trace, "encode", (answered, trace.ended), root)

    def _step(self, trace: Trace, step: Step, root: SpanContext) -> Iterator[ReadableSpan]:
        if not step.parsed:
            return
        yield self._child(trace, "parse", (step.began, step.parsed), root, {"fairlead.rows": step.rows})
        batch = step.batch
        if batch is None:
            return
        yield self._child(trace, "queue", (step.parsed, batch.began), root)
        link = Link(_context(batch.trace_id, batch.span_id))
        yield self._child(trace, "compute", (batch.began, batch.ended), root, links=(link,))
        if not batch.is_sent:
            batch.is_sent = True
            yield self._batch(trace, batch)

    def _batch(self, trace: Trace, batch: Batch) -> ReadableSpan:
        return self._span(
            trace,
            "batch",
            (batch.began, batch.ended),
            context=_context(batch.trace_id, batch.span_id),
            attributes={
                "fairlead.model": batch.model,
                "fairlead.version": batch.version,
                "fairlead.batch.reason": batch.reason,
                "fairlead.batch.requests": batch.requests,
                "fairlead.batch.rows": batch.rows,
                "fairlead.batch.runs": batch.runs,
            },
            links=[Link(_context(*link)) for link in batch.links],
        )

    def _child(
        self,
        trace: Trace,
        name: str,
        times: tuple[float, float],
        root: SpanContext,
        attributes: Attributes | None = None,
        *,
        links: Sequence[Link] = (),
    ) -> ReadableSpan:
        context = SpanContext(root.trace_id, self._ids.generate_span_id(), False, _SAMPLED, root.trace_state)
        return self._span(trace, name, times, context=context, parent=root, attributes=attributes, links=links)

    def _span(
        self,
        trace: Trace,
        name: str,
        times: tuple[float, float],
        *,
        context: SpanContext,
        parent: SpanContext | None = None,
        attributes: Attributes | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
        status: Status = _FINE,
    ) -> ReadableSpan:
        began, ended = (trace.wall_ns + int((at - trace.began) * _NS) for at in times)
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            kind=kind,
            links=links,
            status=status,
            start_time=began,
            end_time=max(began, ended),
            instrumentation_scope=self._scope,
        )


def _context(trace_id: str, span_id: str, state: TraceState | None = None, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, _SAMPLED, state)
