"""Percentiles of latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["p50", "p99"]


def p50(latencies: Sequence[float]) -> float:
    """The median; 0 when there are none."""
    return _percentile(latencies, 50)


def p99(latencies: Sequence[float]) -> float:
    """The 99th percentile; 0 when there are none."""
    return _percentile(latencies, 99)


def _percentile(latencies: Sequence[float], rank: float) -> float:
    return float(np.percentile(np.asarray(latencies), rank)) if latencies else 0.0
