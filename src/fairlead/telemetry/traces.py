"""What became of traces."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, CounterSeries, Instruments

__all__ = ["TraceMetrics"]


class TraceMetrics:
    """The instruments of tracing.

    Attributes:
        exported: traces that the collector has taken.
        over_limit: requests that were not traced because enough were in that second.
        crowded_out: traces that found no room while the collector was slow.
        failed: traces that the collector did not take.
    """

    def __init__(self, instruments: Instruments) -> None:
        self.exported: CounterSeries = Counter(
            instruments, "fairlead_trace_exported", "Traces that the collector has taken."
        ).labels()
        dropped = Counter(instruments, "fairlead_trace_dropped", "Traces that were given up, by why.", ["reason"])
        self.over_limit: CounterSeries = dropped.labels("limit")
        self.crowded_out: CounterSeries = dropped.labels("queue")
        self.failed: CounterSeries = dropped.labels("collector")
