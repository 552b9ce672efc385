"""How full the disks are that the service writes to, looked at when it is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

__all__ = ["disk_families"]

_LABELS = ["path_of"]


def disk_families(paths: Mapping[str, Path]) -> Iterator[Metric]:
    """The free and the whole space of the file system behind each path, by what is kept there; none for no path."""
    free = GaugeMetricFamily("fairlead_disk_free_bytes", "Free space of the file system.", labels=_LABELS)
    size = GaugeMetricFamily("fairlead_disk_size_bytes", "Size of the file system.", labels=_LABELS)
    for path_of, path in paths.items():
        try:
            usage = shutil.disk_usage(path)
        except OSError:  # it is not there yet, or not here at all
            continue
        free.add_metric([path_of], usage.free)
        size.add_metric([path_of], usage.total)
    yield free
    yield size
