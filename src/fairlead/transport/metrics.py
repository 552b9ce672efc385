"""What the REST port counts, and the two pages that show it: Prometheus's own and TensorFlow Serving's."""

from __future__ import annotations

from typing import ClassVar

from fairlead.errors import Code, FairleadError, OverloadError
from fairlead.telemetry.exposition import Exposition
from fairlead.telemetry.instruments import Counter, Histogram, Instruments
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.refusal import refusal
from fairlead.transport.tfserving.metrics import ENTRYPOINTS, Knows, TfServingMetrics

__all__ = ["MetricsPages", "TransportMetrics"]

_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class TransportMetrics:
    """The instruments. What the catalogue does not know is counted under no name, so labels stay few.

    Only a new series is held against the catalogue: whatever clients invent, none of it becomes one.
    """

    def __init__(self, instruments: Instruments) -> None:
        self.instruments = instruments
        self.tfserving = TfServingMetrics(instruments)
        names = ("protocol", "model", "version")
        self._requests = Counter(instruments, "fairlead_requests", "Requests answered.", (*names, "code"))
        self._duration = Histogram(
            instruments,
            "fairlead_request_duration_seconds",
            "Seconds from the request's head to its answer.",
            (*names, "label"),
            bounds=_BOUNDS_S,
        )
        self._refused = Counter(
            instruments,
            "fairlead_refused",
            "Requests refused because there was too much to do, by the bound that was met.",
            ("protocol", "reason"),
        )

    def refused(self, protocol: str, error: Exception) -> None:
        """Count a refusal, if `error` is one that overload makes."""
        if protocol and isinstance(error, OverloadError):
            self._refused.labels(protocol, error.reason).inc()

    def record(self, call: Call, code: Code | None, seconds: float, knows: Knows) -> None:
        """Count one answered request.

        Args:
            call: what it was about.
            code: None for a success.
            seconds: from its head to its answer.
            knows: see `Catalogue.knows`.
        """
        outcome = code.value if code else "OK"
        model, version = call.model, str(call.version or "")
        requests = self._requests.find(call.protocol, model, version, outcome)
        if requests is None:
            if not knows(model, call.version):
                model = version = ""
            requests = self._requests.labels(call.protocol, model, version, outcome)
        requests.inc()
        asked = (call.protocol, model, version, call.label if version else "")
        self._duration.labels(*asked).observe(seconds)
        if call.trace is not None:
            self._duration.exemplars.labels(*asked).note(seconds, call.trace.trace_id)
        if call.protocol in ENTRYPOINTS:
            self.tfserving.record(call, outcome, seconds * 1e6, knows)


class MetricsPages:
    """`/metrics` for Prometheus, and the path and names that dashboards made for TensorFlow Serving look for."""

    PATHS: ClassVar = frozenset({"/metrics", "/monitoring/prometheus/metrics"})

    def __init__(self, metrics: TransportMetrics) -> None:
        self._metrics = metrics

    async def answer(self, request: Request, _call: Call) -> Response:
        if request.path == "/metrics":
            page = Exposition.asked_for(request.header(b"accept"))
            return Response(body=page.write(self._metrics.instruments), content_type=page.content_type)
        if request.query:
            path = f"{request.path}?{request.query}"[:200]
            return Response(status=400, body=f"Unexpected path: {path}".encode(), content_type=b"text/plain")
        return Response(body=self._metrics.tfserving.page(), content_type=b"text/plain")

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)
