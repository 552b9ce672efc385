"""TensorFlow Serving's two request metrics, in its own flavour of the Prometheus text format."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate

__all__ = ["TfServingMetrics"]

BOUNDS_US = tuple(10 * 1.8**power for power in range(33))
MAX_STRANGERS = 100
"""How many (name, status) pairs of refused requests are kept apart: names come from clients, who may invent them."""

_COUNT = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_BOUND_TEXTS = (*(f"{bound:.6g}" for bound in BOUNDS_US), "+Inf")


@dataclass(slots=True)
class _Latencies:
    """A histogram of microseconds."""

    total: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * len(_BOUND_TEXTS))

    def observe(self, microseconds: float) -> None:
        self.total += microseconds
        self.buckets[bisect_left(BOUNDS_US, microseconds)] += 1


class TfServingMetrics:
    """Counts every request to the dialect by the name and status, and the successes' latencies."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._strangers = 0
        self._latencies: dict[tuple[str, str], _Latencies] = {}

    def record(self, model: str, api: str, status: str, microseconds: float) -> None:
        """Count one request; `api` is "predict", or nothing for a GET."""
        key = self._admit(model, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        if status == "OK":
            self._latencies.setdefault((model, api), _Latencies()).observe(microseconds)

    def page(self) -> bytes:
        """The exposition."""
        lines = [f"# TYPE {_COUNT} counter"]
        lines += [
            f'{_COUNT}{{model_name="{_escape(model)}",status="{status}"}} {count}'
            for (model, status), count in sorted(self._counts.items())
        ]
        lines.append(f"# TYPE {_LATENCY} histogram")
        for (model, api), latencies in sorted(self._latencies.items()):
            lines += _histogram(f'model_name="{_escape(model)}",API="{api}",entrypoint="REST"', latencies)
        return "\n".join([*lines, ""]).encode()

    def _admit(self, model: str, status: str) -> tuple[str, str]:
        """The pair to count under: a new one that is no success only while there is room for it."""
        key = (model, status)
        if status == "OK" or key in self._counts:
            return key
        if self._strangers >= MAX_STRANGERS:
            return ("", status)
        self._strangers += 1
        return key


def _histogram(labels: str, latencies: _Latencies) -> list[str]:
    running = list(accumulate(latencies.buckets))
    lines = [
        f'{_LATENCY}_bucket{{{labels},le="{bound}"}} {count}'
        for bound, count in zip(_BOUND_TEXTS, running, strict=True)
    ]
    total = f"{_LATENCY}_sum{{{labels}}} {latencies.total:.17g}"
    return [*lines, total, f"{_LATENCY}_count{{{labels}}} {running[-1]}"]


def _escape(value: str) -> str:
    """Percent-decoded names may hold line ends, which would forge a sample; TF Serving leaves them as they are."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
