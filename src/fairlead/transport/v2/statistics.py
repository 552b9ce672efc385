"""The statistics extension: what versions have done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fairlead.servable.identity import ServableId
from fairlead.serving.statistics import Duration, Statistics, VersionStatistics

__all__ = ["figures_of", "statistics_page"]


def statistics_page(ids: Iterable[ServableId], statistics: Statistics) -> dict[str, Any]:
    """The figures of these versions. No answer comes in several responses, which would have figures of their own."""
    figures = statistics.read(ids)
    return {"model_stats": [figures_of(id_, figures[id_]) | {"response_stats": {}} for id_ in figures]}


def figures_of(id_: ServableId, figures: VersionStatistics) -> dict[str, Any]:
    """The figures of one version, by the names that the protocol has for them over REST and gRPC."""
    # Inputs are decoded before a request waits, and outputs are written once it has its answer: neither is the model's.
    free = Duration(count=figures.compute.count)
    return {
        "name": id_.model,
        "version": str(id_.version),
        "last_inference": figures.last_ms,
        "inference_count": figures.rows,
        "execution_count": figures.runs,
        "inference_stats": {
            "success": _duration(figures.success),
            "fail": _duration(figures.fail),
            "queue": _duration(figures.queue),
            "compute_input": _duration(free),
            "compute_infer": _duration(figures.compute),
            "compute_output": _duration(free),
            "cache_hit": _duration(Duration()),
            "cache_miss": _duration(Duration()),
        },
        "batch_stats": [_batch(size, figures.batches[size]) for size in sorted(figures.batches)],
        "memory_usage": [],
    }


def _batch(size: int, duration: Duration) -> dict[str, Any]:
    free = _duration(Duration(count=duration.count))
    return {"batch_size": size, "compute_input": free, "compute_infer": _duration(duration), "compute_output": free}


def _duration(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": duration.ns}
