"""What the server did in the last quarter of an hour, by its own counts: rates, latencies, errors, saturation."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["SAMPLE_EVERY_S", "History", "Sample", "parse", "quantile"]

SAMPLE_EVERY_S = 5.0
_KEPT = 181  # a quarter of an hour, and the sample that the first rate is counted from
_QUANTILES = (0.5, 0.95, 0.99)
_SLOW = 0.95
_SMOOTHED = 6  # samples that a latency is told of: half a minute
_COUNTS = (
    "fairlead_requests_total",
    "fairlead_request_duration_seconds_bucket",
    "fairlead_compute_duration_seconds_sum",
)
_GAUGES = (
    "fairlead_in_flight",
    "fairlead_queue_depth",
    "fairlead_saturation",
    "fairlead_workers_ready",
)
_FAULTS = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})
"""Codes that are no client's doing."""

Version = str
"""MODEL@VERSION; the model alone where a request named none that is there."""


@dataclass(slots=True, kw_only=True)
class Counts:
    """What one version has done since the server began.

    Attributes:
        answered: requests.
        faults: those of them that failed by no doing of the client.
        buckets: requests by the upper bound of their latency in seconds, each bucket with all below it.
        compute_s: seconds that the model ran.
    """

    answered: float = 0.0
    faults: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)
    compute_s: float = 0.0

    def since(self, before: Counts) -> Counts:
        """What was done after `before`; a server that was restarted has counted from nothing."""
        if self.answered < before.answered:
            return self
        return Counts(
            answered=self.answered - before.answered,
            faults=max(0.0, self.faults - before.faults),
            buckets={bound: count - before.buckets.get(bound, 0.0) for bound, count in self.buckets.items()},
            compute_s=max(0.0, self.compute_s - before.compute_s),
        )

    def add(self, other: Counts) -> None:
        """Count both together."""
        self.answered += other.answered
        self.faults += other.faults
        self.compute_s += other.compute_s
        for bound, count in other.buckets.items():
            self.buckets[bound] = self.buckets.get(bound, 0.0) + count


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The counts at one moment.

    Attributes:
        at_s: seconds since 1970.
        versions: what each has done.
        gauges: by name; those with labels summed.
    """

    at_s: float
    versions: Mapping[Version, Counts]
    gauges: Mapping[str, float]


def parse(text: str, at_s: float) -> Sample:
    """The counts that a page of metrics shows."""
    wanted = "\n".join(line for line in text.splitlines() if line.startswith((*_COUNTS, *_GAUGES)))
    versions: dict[Version, Counts] = {}
    gauges: dict[str, float] = {}
    for family in text_string_to_metric_families(wanted + "\n"):
        for name, labels, value, *_ in family.samples:
            if name in _GAUGES:
                gauges[name] = gauges.get(name, 0.0) + value
                continue
            model, version = labels.get("model", ""), labels.get("version", "")
            counts = versions.setdefault(f"{model}@{version}" if version else model, Counts())
            _count(counts, name, labels, value)
    return Sample(at_s=at_s, versions=versions, gauges=gauges)


def _count(counts: Counts, name: str, labels: Mapping[str, str], value: float) -> None:
    if name == "fairlead_requests_total":
        counts.answered += value
        counts.faults += value if labels.get("code") in _FAULTS else 0.0
    elif name == "fairlead_compute_duration_seconds_sum":
        counts.compute_s += value
    else:
        bound = float(labels["le"])
        counts.buckets[bound] = counts.buckets.get(bound, 0.0) + value


class History:
    """The samples of the last quarter of an hour. Used by one event loop and the threads that it starts."""

    def __init__(self) -> None:
        self._samples: deque[Sample] = deque(maxlen=_KEPT)
        self.problem = ""

    def add(self, sample: Sample) -> None:
        """Take in the newest."""
        self._samples.append(sample)
        self.problem = ""

    def fail(self, problem: str) -> None:
        """Note why there is no sample now."""
        self.problem = problem

    def to_json(self) -> dict[str, Any]:
        """What the charts show, and a program reads.

        Each list has one value for each of `times`; None where nothing can be told.
        """
        samples = list(self._samples)
        pairs = list(itertools.pairwise(samples))
        names = sorted({name for sample in samples for name in sample.versions} - {""})
        busy = [name for name in names if any(after.versions.get(name) for _, after in pairs)]
        return {
            "times": [after.at_s for _, after in pairs],
            "rate": {name: _each(pairs, name, lambda counts, span: counts.answered / span) for name in busy},
            "errors": {name: _each(pairs, name, _fault_share) for name in busy},
            "busy": {name: _each(pairs, name, lambda counts, span: counts.compute_s / span) for name in busy},
            "latency": _latencies(samples),
            "slow": {name: _slow(samples, name) for name in busy},
            "gauges": {name: [after.gauges.get(name) for _, after in pairs] for name in _GAUGES},
            "problem": self.problem,
        }


def _each(
    pairs: Sequence[tuple[Sample, Sample]], name: Version, tell: Callable[[Counts, float], float | None]
) -> list[float | None]:
    return [
        tell(after.versions.get(name, Counts()).since(before.versions.get(name, Counts())), after.at_s - before.at_s)
        for before, after in pairs
    ]


def _fault_share(counts: Counts, _span_s: float) -> float | None:
    return counts.faults / counts.answered if counts.answered else None


def _latencies(samples: Sequence[Sample]) -> dict[str, list[float | None]]:
    """By quantile, of all versions together over the last half minute, in seconds."""
    found: dict[str, list[float | None]] = {f"p{100 * q:.0f}": [] for q in _QUANTILES}
    for place in range(1, len(samples)):
        before, after = samples[max(0, place - _SMOOTHED)], samples[place]
        together = Counts()
        for name, counts in after.versions.items():
            together.add(counts.since(before.versions.get(name, Counts())))
        for q in _QUANTILES:
            found[f"p{100 * q:.0f}"].append(quantile(together.buckets, q))
    return found


def _slow(samples: Sequence[Sample], name: Version) -> list[float | None]:
    """The 95th percentile of one version's latency over the last half minute, in seconds."""
    counts = [sample.versions.get(name, Counts()) for sample in samples]
    return [
        quantile(counts[place].since(counts[max(0, place - _SMOOTHED)]).buckets, _SLOW)
        for place in range(1, len(counts))
    ]


def quantile(buckets: Mapping[float, float], q: float) -> float | None:
    """The quantile that cumulative counts by upper bound allow one to tell; None where nothing was counted.

    >>> round(quantile({0.001: 50.0, 0.01: 100.0, math.inf: 100.0}, 0.75), 4)
    0.0055
    """
    total = buckets.get(math.inf, 0.0)
    if total <= 0:
        return None
    low = below = 0.0
    for bound in sorted(buckets):
        count = buckets[bound]
        if count >= q * total:
            if math.isinf(bound):
                return low
            return low + (bound - low) * (q * total - below) / (count - below)
        low, below = bound, count
    return low
