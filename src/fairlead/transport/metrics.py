"""What the REST port counts, and the two pages that show it: Prometheus's own and TensorFlow Serving's."""

from __future__ import annotations

from typing import ClassVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from fairlead.errors import Code, FairleadError
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.refusal import refusal
from fairlead.transport.tfserving.metrics import TfServingMetrics

__all__ = ["MetricsPages", "TransportMetrics"]

BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class TransportMetrics:
    """The instruments. A model that the catalogue does not know is counted under no name, so labels stay few."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.tfserving = TfServingMetrics()
        labels = ("protocol", "model", "version")
        self._requests = Counter("fairlead_requests", "Requests answered.", (*labels, "code"), registry=registry)
        self._duration = Histogram(
            "fairlead_request_duration_seconds",
            "Seconds from the request's head to its answer.",
            labels,
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._counters: dict[tuple[str, str, str, str], Counter] = {}
        self._histograms: dict[tuple[str, str, str], Histogram] = {}

    def record(self, call: Call, code: Code | None, seconds: float, *, is_known: bool) -> None:
        """Count one answered request; `code` is None for a success."""
        outcome = code.value if code else "OK"
        series = (call.protocol, call.model if is_known else "", str(call.version or "") if is_known else "")
        self._counter((*series, outcome)).inc()
        self._histogram(series).observe(seconds)
        if call.protocol == "tfserving":
            self.tfserving.record(call.model, call.api, outcome, seconds * 1e6)

    def retire(self, model: str, version: int) -> None:
        """Forget the series of a version that will not answer again. Safe in any thread."""
        gone = (model, str(version))
        for counted in [key for key in list(self._counters) if key[1:3] == gone]:
            self._counters.pop(counted, None)
            self._requests.remove(*counted)
        for timed in [key for key in list(self._histograms) if key[1:] == gone]:
            self._histograms.pop(timed, None)
            self._duration.remove(*timed)

    def _counter(self, key: tuple[str, str, str, str]) -> Counter:
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._requests.labels(*key)
        return counter

    def _histogram(self, key: tuple[str, str, str]) -> Histogram:
        histogram = self._histograms.get(key)
        if histogram is None:
            histogram = self._histograms[key] = self._duration.labels(*key)
        return histogram


class MetricsPages:
    """`/metrics` for Prometheus, and the path and names that dashboards made for TensorFlow Serving look for."""

    PATHS: ClassVar = frozenset({"/metrics", "/monitoring/prometheus/metrics"})

    def __init__(self, metrics: TransportMetrics) -> None:
        self._metrics = metrics

    async def answer(self, request: Request, _call: Call) -> Response:
        if request.path == "/metrics":
            return Response(
                body=generate_latest(self._metrics.registry), content_type=CONTENT_TYPE_PLAIN_0_0_4.encode()
            )
        if request.query:
            path = f"{request.path}?{request.query}"[:200]
            return Response(status=400, body=f"Unexpected path: {path}".encode(), content_type=b"text/plain")
        return Response(body=self._metrics.tfserving.page(), content_type=b"text/plain")

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)
