"""TensorFlow Serving's two request metrics, in its own flavour of the Prometheus text format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from fairlead.telemetry.instruments import Counter, Histogram, Instruments
from fairlead.transport.message import Call

__all__ = ["ENTRYPOINTS", "Knows", "TfServingMetrics"]

BOUNDS_US = tuple(10 * 1.8**power for power in range(33))
ENTRYPOINTS = {"tfserving": "REST", "tfserving-grpc": "GRPC"}
"""What TensorFlow Serving calls the protocols, by what they are called here."""

Knows = Callable[[str, int | None], bool]
"""Whether there is such a model, and such a version of it."""

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_BOUND_TEXTS = (*(f"{bound:.6g}" for bound in BOUNDS_US), "+Inf")
_COUNTED_CALLS = ("Predict", "Classify", "Regress")


class TfServingMetrics:
    """Counts every request to the REST dialect, and the calls that infer, by name and status; successes' latencies too.

    A model that nobody knows has no name here, where TensorFlow Serving shows whatever clients invent.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._counts = Counter(
            instruments,
            _COUNT,
            "Requests, as TensorFlow Serving counts them.",
            ["model_name", "status"],
            is_listed=False,
        )
        self._latencies = Histogram(
            instruments,
            _LATENCY,
            "Microseconds that a success took.",
            ["model_name", "API", "entrypoint"],
            bounds=BOUNDS_US,
            is_listed=False,
        )

    def record(self, call: Call, status: str, microseconds: float, knows: Knows) -> None:
        """Count one request; its `api` is "predict" or "Predict" and so on, or nothing for a GET."""
        entrypoint, model = ENTRYPOINTS[call.protocol], call.model
        if entrypoint == "GRPC" and call.api not in _COUNTED_CALLS:
            return
        counts = self._counts.find(model, status)
        if counts is None:
            if not knows(model, None):
                model = ""
            counts = self._counts.labels(model, status)
        counts.inc()
        if status == "OK":
            self._latencies.labels(model, call.api, entrypoint).observe(microseconds)

    def page(self) -> bytes:
        """The exposition."""
        totals = self._instruments.totals()
        lines = [f"# TYPE {_COUNT} counter"]
        lines += [
            f'{_COUNT}{{model_name="{_escape(model)}",status="{status}"}} {count:.0f}'
            for (model, status), (count,) in sorted(totals[_COUNT].items())
        ]
        lines.append(f"# TYPE {_LATENCY} histogram")
        for (model, api, entrypoint), cells in sorted(totals[_LATENCY].items()):
            lines += _histogram(f'model_name="{_escape(model)}",API="{api}",entrypoint="{entrypoint}"', cells)
        return "\n".join([*lines, ""]).encode()


def _histogram(labels: str, cells: Sequence[float]) -> list[str]:
    total, *counts = cells
    running = list(accumulate(counts))
    lines = [
        f'{_LATENCY}_bucket{{{labels},le="{bound}"}} {count:.0f}'
        for bound, count in zip(_BOUND_TEXTS, running, strict=True)
    ]
    lines.append(f"{_LATENCY}_sum{{{labels}}} {total:.17g}")
    return [*lines, f"{_LATENCY}_count{{{labels}}} {running[-1]:.0f}"]


def _escape(value: str) -> str:
    """A directory's name may hold line ends, which would forge a sample; TF Serving leaves them as they are."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
