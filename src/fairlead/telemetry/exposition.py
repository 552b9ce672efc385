"""The page that Prometheus reads: the totals of all processes, what each uses, and what is running."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry, generate_latest, samples
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE_OPEN_METRICS
from prometheus_client.openmetrics.exposition import generate_latest as generate_open_metrics
from prometheus_client.registry import Collector

from fairlead.telemetry.disk import disk_families
from fairlead.telemetry.instruments import Counter, Exemplar, Family, Histogram, Instruments, Series, Totals
from fairlead.telemetry.usage import usage_families

__all__ = ["Exposition", "registry_of"]


class Exposition(enum.Enum):
    """How the page is written."""

    TEXT = CONTENT_TYPE_PLAIN_0_0_4
    OPEN_METRICS = CONTENT_TYPE_OPEN_METRICS

    @classmethod
    def asked_for(cls, accept: bytes) -> Exposition:
        """OpenMetrics for those who take it, as Prometheus does: it alone has exemplars."""
        return cls.OPEN_METRICS if b"application/openmetrics-text" in accept.lower() else cls.TEXT

    @property
    def content_type(self) -> bytes:
        """As a header says it."""
        return self.value.encode()

    def write(self, instruments: Instruments, disks: Mapping[str, Path] = MappingProxyType({})) -> bytes:
        """The page.

        Args:
            instruments: what the processes count.
            disks: paths whose file systems are shown, by what is kept there.
        """
        write = generate_open_metrics if self is Exposition.OPEN_METRICS else generate_latest
        return write(registry_of(instruments, disks))


def registry_of(instruments: Instruments, disks: Mapping[str, Path] = MappingProxyType({})) -> CollectorRegistry:
    """All processes' totals as prometheus_client has them; each look at it is a fresh one."""
    registry = CollectorRegistry()
    registry.register(_Page(instruments, disks))
    return registry


class _Page(Collector):
    def __init__(self, instruments: Instruments, disks: Mapping[str, Path]) -> None:
        self._instruments = instruments
        self._disks = disks

    def collect(self) -> Iterator[Metric]:
        yield _build()
        yield from usage_families(self._instruments.owners)
        if self._disks:
            yield from disk_families(self._disks)
        yield CounterMetricFamily(
            "fairlead_metrics_overflows",
            "Series that found no room to be counted in.",
            value=self._instruments.overflows,
        )
        totals = self._instruments.totals()
        for family in self._instruments.families:
            if isinstance(family, Histogram) and family.is_listed:
                yield _shown_histogram(family, totals)
            elif family.is_listed:
                yield _shown(family, totals)


def _build() -> Metric:
    family = GaugeMetricFamily("fairlead_build_info", "What is running; always 1.", labels=["version", "python"])
    family.add_metric([metadata.version("fairlead"), f"{sys.version_info.major}.{sys.version_info.minor}"], 1)
    return family


def _shown(family: Family[Series], totals: Totals) -> Metric:
    make = CounterMetricFamily if isinstance(family, Counter) else GaugeMetricFamily
    shown = make(family.name, family.description, labels=family.label_names)
    for values, (value,) in sorted(totals[family.name].items()):
        shown.add_metric(values, value)
    return shown


def _shown_histogram(family: Histogram, totals: Totals) -> Metric:
    shown = HistogramMetricFamily(family.name, family.description, labels=family.label_names)
    bounds, exemplars = [*map(str, family.bounds), "+Inf"], totals[family.exemplars.name]
    for values, (total, *counts) in sorted(totals[family.name].items()):
        found = family.exemplars.read(exemplars[values]) if values in exemplars else [None] * len(bounds)
        shown.add_metric(values, list(map(_bucket, bounds, accumulate(counts), found)), total)
    return shown


def _bucket(
    bound: str, count: float, found: Exemplar | None
) -> tuple[str, float] | tuple[str, float, samples.Exemplar]:
    if found is None:
        return bound, count
    return bound, count, samples.Exemplar({"trace_id": found.trace_id}, found.value, found.at)
