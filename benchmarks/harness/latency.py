"""Percentiles of latencies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["p99"]


def p99(latencies: Sequence[float]) -> float:
    """The 99th percentile; 0 when there are none."""
    return float(np.percentile(np.asarray(latencies), 99)) if latencies else 0.0
