"""How the worker processes are."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, Gauge, Instruments, Merge

__all__ = ["WorkerMetrics"]


class WorkerMetrics:
    """The instruments of the parent.

    Attributes:
        ready: workers that take connections and answer for every model.
    """

    def __init__(self, instruments: Instruments) -> None:
        self.ready = Gauge(
            instruments,
            "fairlead_workers_ready",
            "Workers that take connections and answer for every model.",
            how=Merge.SUM,
        ).labels()
        self._deaths = Counter(
            instruments, "fairlead_worker_deaths", "Workers that ended without being told to.", ["how"]
        )

    def died(self, how: str) -> None:
        """Count a death; `how` is a signal's name, an exit status or the code of the error that ended it."""
        self._deaths.labels(how).inc()
