"""Traces on their way to a collector, over OTLP. Imported only where requests are traced: it needs OpenTelemetry."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from importlib import metadata

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from fairlead.telemetry.otlp_spans import SpanMaker
from fairlead.telemetry.traces import TraceMetrics
from fairlead.telemetry.tracing import Trace

__all__ = ["OtlpSink"]

_MOST_WAITING = 1024
_MOST_TOGETHER = 128
_PAUSE_S = 0.5
_LAST_S = 2.0
_log = logging.getLogger(__name__)


class OtlpSink:
    """Sends traces from a thread of its own. A collector that is slow or gone costs traces and nothing else.

    Its headers, certificates, compression and time limit are what OpenTelemetry's variables say
    (`OTEL_EXPORTER_OTLP_HEADERS` and so on), as are the service's name and other attributes of the resource.

    Args:
        url: of the collector; `/v1/traces` is added to it.
        metrics: told what became of them.
    """

    def __init__(self, url: str, metrics: TraceMetrics) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it would tell of every failure, and we do once
        self._metrics = metrics
        self._exporter = OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces")
        self._maker = SpanMaker(_resource())
        self._waiting: deque[Trace] = deque()
        self._is_over = threading.Event()
        self._is_failing = False
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self._thread.start()

    def put(self, trace: Trace) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._metrics.crowded_out.inc()
        else:
            self._waiting.append(trace)

    def close(self) -> None:
        """Send what is left, unless that takes too long."""
        self._is_over.set()
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        while not self._is_over.wait(_PAUSE_S):
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting:
            self._send([self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_TOGETHER))])

    def _send(self, traces: list[Trace]) -> None:
        try:
            spans = [span for trace in traces for span in self._maker.spans(trace)]
            is_sent = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001 - the thread must live on, whatever a library makes of a collector's answer
            _log.exception("traces cannot be sent")
            is_sent = False
        (self._metrics.exported if is_sent else self._metrics.failed).inc(len(traces))
        if is_sent is self._is_failing:
            self._is_failing = not is_sent
            _log.warning("the collector of traces %s", "takes them again" if is_sent else "does not take them")


def _resource() -> Resource:
    return Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME", "fairlead"),
            "service.version": metadata.version("fairlead"),
            "process.pid": os.getpid(),
        }
    )
