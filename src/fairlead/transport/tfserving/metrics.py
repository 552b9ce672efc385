"""TensorFlow Serving's two request metrics, in its own flavour of the Prometheus text format."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from fairlead.telemetry.instruments import Counter, Histogram, Instruments

__all__ = ["TfServingMetrics"]

BOUNDS_US = tuple(10 * 1.8**power for power in range(33))
MAX_STRANGERS = 100
"""How many (name, status) pairs of refused requests are kept apart: names come from clients, who may invent them."""

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_BOUND_TEXTS = (*(f"{bound:.6g}" for bound in BOUNDS_US), "+Inf")


class TfServingMetrics:
    """Counts every request to the dialect by the name and status, and the successes' latencies."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._counts = Counter(instruments, _COUNT, "", ["model_name", "status"], is_listed=False)
        self._latencies = Histogram(
            instruments, _LATENCY, "", ["model_name", "API", "entrypoint"], bounds=BOUNDS_US, is_listed=False
        )
        self._strangers = {pair for pair in instruments.counted(self._counts) if pair[1] != "OK"}

    def record(self, model: str, api: str, status: str, microseconds: float) -> None:
        """Count one request; `api` is "predict", or nothing for a GET."""
        self._counts.labels(*self._admit(model, status)).inc()
        if status == "OK":
            self._latencies.labels(model, api, "REST").observe(microseconds)

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

    def _admit(self, model: str, status: str) -> tuple[str, str]:
        """The pair to count under: a new one that is no success only while there is room for it."""
        pair = (model, status)
        if status == "OK" or pair in self._strangers:
            return pair
        if len(self._strangers) >= MAX_STRANGERS:
            return ("", status)
        self._strangers.add(pair)
        return pair


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
    """Percent-decoded names may hold line ends, which would forge a sample; TF Serving leaves them as they are."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
