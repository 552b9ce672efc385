"""TensorFlow Serving's two request metrics, in its own flavour of the Prometheus text format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

from fairlead.errors import FairleadError
from fairlead.servable.identity import check_model_name
from fairlead.telemetry.instruments import Counter, Histogram, Instruments
from fairlead.transport.message import Call

__all__ = ["ENTRYPOINTS", "Knows", "TfServingMetrics"]

BOUNDS_US = tuple(10 * 1.8**power for power in range(33))
ENTRYPOINTS = {"tfserving": "REST", "tfserving-grpc": "GRPC"}
"""What TensorFlow Serving calls the protocols, by what they are called here."""
MAX_STRANGERS = 50
"""How many names of models that there are not a worker shows."""

Knows = Callable[[str, int | None], bool]
"""Whether there is such a model, and such a version of it."""

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_BOUND_TEXTS = (*(f"{bound:.6g}" for bound in BOUNDS_US), "+Inf")
_COUNTED_CALLS = ("Predict", "Classify", "Regress")


class TfServingMetrics:
    """Counts every request to the REST dialect, and the calls that infer, by name and status; successes' latencies too.

    TensorFlow Serving shows whatever names clients invent, and a dashboard finds by them who asks for a model that is
    gone. The first few are shown here, if a model could be called so; all others share a series without a name.
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
        counted = instruments.counted(self._counts)
        served = {model for model, status in counted if status == "OK"}
        self._strangers = {model for model, _ in counted if model} - served

    def record(self, call: Call, status: str, microseconds: float, knows: Knows) -> None:
        """Count one request; its `api` is "predict" or "Predict" and so on, or nothing for a GET."""
        entrypoint, model = ENTRYPOINTS[call.protocol], call.model
        if entrypoint == "GRPC" and call.api not in _COUNTED_CALLS:
            return
        counts = self._counts.find(model, status)
        if counts is None:
            if not knows(model, None) and not self._admits(model):
                model = ""
            counts = self._counts.labels(model, status)
        counts.inc()
        if status == "OK":
            self._latencies.labels(model, call.api, entrypoint).observe(microseconds)

    def _admits(self, name: str) -> bool:
        """Whether the name of a model that there is not is shown."""
        if name not in self._strangers and len(self._strangers) < MAX_STRANGERS:
            try:
                self._strangers.add(check_model_name(name))
            except FairleadError:
                return False
        return name in self._strangers

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
