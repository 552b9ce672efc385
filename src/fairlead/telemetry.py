"""Logs and metrics of the process: how they are written, and the instruments that are not a protocol's."""

from __future__ import annotations

import json
import logging
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

__all__ = ["BatchMetrics", "LoadMetrics", "configure_logging", "process_registry"]

_BATCH_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_QUEUE_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_LOAD_BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line; control characters in values are escaped by JSON itself."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


def configure_logging(stream: TextIO, log_format: str) -> None:
    """Send the whole process's log to `stream`, as text on a terminal and as JSON lines elsewhere.

    Args:
        stream: standard error, as a rule.
        log_format: "auto", "json" or "text".
    """
    as_text = log_format == "text" or (log_format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S") if as_text else _JsonFormatter()
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)


def process_registry() -> CollectorRegistry:
    """A fresh registry with the build's own line in it."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter, which nobody reads
    registry = CollectorRegistry()
    build = Gauge("fairlead_build_info", "What is running; always 1.", ["version", "python"], registry=registry)
    build.labels(metadata.version("fairlead"), f"{sys.version_info.major}.{sys.version_info.minor}").set(1)
    if platform.system() == "Linux":
        from prometheus_client import ProcessCollector  # noqa: PLC0415 - reads /proc, which only Linux has

        ProcessCollector(registry=registry)
    return registry


class LoadMetrics:
    """How loading goes, by model and version."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ["model", "version"]
        self._available = Gauge("fairlead_model_available", "1 while the version can answer.", names, registry=registry)
        self._seconds = Histogram(
            "fairlead_model_load_duration_seconds",
            "Time to verify, load, warm and prove a version.",
            ["model"],
            buckets=_LOAD_BUCKETS_S,
            registry=registry,
        )
        self._failures = Counter(
            "fairlead_model_load_failures_total", "Attempts to load that failed.", ["model"], registry=registry
        )
        self._revision = Gauge(
            "fairlead_release_revision",
            "The release in force, as this process has read it.",
            ["model"],
            registry=registry,
        )

    def loaded(self, model: str, version: int, seconds: float) -> None:
        self._available.labels(model, str(version)).set(1)
        self._seconds.labels(model).observe(seconds)

    def failed(self, model: str) -> None:
        self._failures.labels(model).inc()

    def unloaded(self, model: str, version: int) -> None:
        self._available.remove(model, str(version))

    def released(self, model: str, revision: int) -> None:
        self._revision.labels(model).set(revision)


class BatchMetrics:
    """How requests meet in batches, by model and version."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ["model", "version"]
        self._rows = Histogram(
            "fairlead_batch_rows", "Rows that ran together.", names, buckets=_BATCH_ROWS, registry=registry
        )
        self._queue = Histogram(
            "fairlead_queue_duration_seconds",
            "Time a request waited for its batch to start.",
            names,
            buckets=_QUEUE_BUCKETS_S,
            registry=registry,
        )
        self._compute = Histogram(
            "fairlead_compute_duration_seconds",
            "Time a batch ran.",
            names,
            buckets=_QUEUE_BUCKETS_S,
            registry=registry,
        )
        self._batches = Counter(
            "fairlead_batches", "Batches, by why they were run when they were.", [*names, "reason"], registry=registry
        )

    def ran(
        self, model: str, version: int, *, rows: int, waited_s: Sequence[float], compute_s: float, reason: str
    ) -> None:
        """Note one batch: its rows, how long each of its requests waited, how long it ran, and why it was run then."""
        names = model, str(version)
        self._rows.labels(*names).observe(rows)
        self._compute.labels(*names).observe(compute_s)
        self._batches.labels(*names, reason).inc()
        queue = self._queue.labels(*names)
        for seconds in waited_s:
            queue.observe(seconds)
