"""What the application's own log could not keep."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, CounterSeries, Instruments

__all__ = ["AppLogMetrics"]


class AppLogMetrics:
    """The instruments of the application's log.

    Attributes:
        failures: lines that could not be written.
    """

    def __init__(self, instruments: Instruments) -> None:
        self.failures: CounterSeries = Counter(
            instruments, "fairlead_app_log_failures", "Log lines that could not be written."
        ).labels()
