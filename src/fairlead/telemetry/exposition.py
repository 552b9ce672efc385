"""The page that Prometheus reads: the totals of all processes, what each uses, and what is running."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from fairlead.telemetry.disk import disk_families
from fairlead.telemetry.instruments import Counter, Family, Histogram, Instruments, Labels, Series
from fairlead.telemetry.usage import usage_families

__all__ = ["CONTENT_TYPE", "exposition", "registry_of"]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def exposition(instruments: Instruments, disks: Mapping[str, Path] = MappingProxyType({})) -> bytes:
    """The page, in Prometheus's text format.

    Args:
        instruments: what the processes count.
        disks: paths whose file systems are shown, by what is kept there.
    """
    return generate_latest(registry_of(instruments, disks))


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
            if family.is_listed:
                yield _shown(family, sorted(totals[family.name].items()))


def _build() -> Metric:
    family = GaugeMetricFamily("fairlead_build_info", "What is running; always 1.", labels=["version", "python"])
    family.add_metric([metadata.version("fairlead"), f"{sys.version_info.major}.{sys.version_info.minor}"], 1)
    return family


def _shown(family: Family[Series], series: Iterable[tuple[Labels, list[float]]]) -> Metric:
    if isinstance(family, Histogram):
        histogram = HistogramMetricFamily(family.name, family.description, labels=family.label_names)
        bounds = [*map(str, family.bounds), "+Inf"]
        for values, (total, *counts) in series:
            histogram.add_metric(values, list(zip(bounds, accumulate(counts), strict=True)), total)
        return histogram
    make = CounterMetricFamily if isinstance(family, Counter) else GaugeMetricFamily
    shown = make(family.name, family.description, labels=family.label_names)
    for values, (value,) in series:
        shown.add_metric(values, value)
    return shown
