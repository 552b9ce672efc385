"""What the REST port counts, and the two pages that show it: Prometheus's own and TensorFlow Serving's."""

from __future__ import annotations

from typing import ClassVar

from fairlead.errors import Code, FairleadError, OverloadError, RateLimitError
from fairlead.telemetry.exposition import Exposition
from fairlead.telemetry.instruments import Counter, Histogram, Instruments
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.refusal import refusal
from fairlead.transport.tfserving.metrics import ENTRYPOINTS, Knows, TfServingMetrics

__all__ = ["MetricsPages", "TransportMetrics"]

_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


_MOST_COUNTED = 1000
_Key = tuple[str, str, int | None, str, Code | None]
"""What tells requests apart: protocol, model, version, label and what became of them."""


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
        self._limited = Counter(
            instruments,
            "fairlead_limited",
            "Requests refused because more was asked for than may be, by whose limit was met.",
            ("protocol", "reason"),
        )

        self._counted: dict[_Key, _Counted] = {}

    def refused(self, protocol: str, error: Exception) -> None:
        """Count a refusal, if `error` is one that overload or a limit makes."""
        if protocol and isinstance(error, OverloadError):
            self._refused.labels(protocol, error.reason).inc()
        elif protocol and isinstance(error, RateLimitError):
            self._limited.labels(protocol, error.reason).inc()

    def record(self, call: Call, code: Code | None, seconds: float, knows: Knows) -> None:
        """Count one answered request.

        Args:
            call: what it was about.
            code: None for a success.
            seconds: from its head to its answer.
            knows: see `Catalogue.knows`.
        """
        label = call.label if call.version is not None else ""
        key = (call.protocol, call.model, call.version, label, code)
        counted = self._counted.get(key)
        if counted is None or counted.requests.is_retired or counted.duration.is_retired:
            counted = self._find(key, knows)
        counted.requests.inc()
        counted.duration.observe(seconds)
        if call.trace is not None:
            counted.exemplify(seconds, call.trace.trace_id)
        if call.protocol in ENTRYPOINTS:
            self.tfserving.record(call, _outcome(code), seconds * 1e6, knows)

    def _find(self, key: _Key, knows: Knows) -> _Counted:
        """Where requests of this key are counted; remembered if they are of something that there is."""
        protocol, model, version, label, code = key
        shown = (protocol, model, str(version or ""), _outcome(code))
        if self._requests.find(*shown) is None and not knows(model, version):
            return _Counted(self._requests, self._duration, (protocol, "", "", _outcome(code)), "")
        counted = _Counted(self._requests, self._duration, shown, label)
        if len(self._counted) >= _MOST_COUNTED:
            self._counted.clear()
        self._counted[key] = counted
        return counted


class _Counted:
    """The series that a kind of request is counted in."""

    __slots__ = ("_asked", "_durations", "duration", "requests")

    def __init__(self, requests: Counter, durations: Histogram, shown: tuple[str, str, str, str], label: str) -> None:
        self.requests = requests.labels(*shown)
        self._asked = (*shown[:3], label)
        self._durations = durations
        self.duration = durations.labels(*self._asked)

    def exemplify(self, seconds: float, trace_id: str) -> None:
        """Let a request that was traced stand for the others."""
        self._durations.exemplars.labels(*self._asked).note(seconds, trace_id)


def _outcome(code: Code | None) -> str:
    return code.value if code else "OK"


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
