"""What the prediction log could not keep, and how far behind the database is."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, CounterSeries, Gauge, GaugeSeries, Instruments, Merge

__all__ = ["LogMetrics"]


class LogMetrics:
    """The instruments of the prediction log.

    Attributes:
        dropped_bytes: of records that could not be written, or had to go before the database had taken them.
        shipped: rows that are in the database.
        backlog_bytes: of records that the database has not taken yet.
        failures: attempts to reach the database that failed.
    """

    def __init__(self, instruments: Instruments) -> None:
        self.dropped_bytes: CounterSeries = Counter(
            instruments, "fairlead_log_dropped_bytes", "Bytes of logged predictions that were given up."
        ).labels()
        self.shipped: CounterSeries = Counter(
            instruments, "fairlead_log_shipped_rows", "Logged predictions that the database has taken."
        ).labels()
        self.backlog_bytes: GaugeSeries = Gauge(
            instruments,
            "fairlead_log_backlog_bytes",
            "Bytes of logged predictions that the database has not taken yet.",
            how=Merge.SUM,
        ).labels()
        self.failures: CounterSeries = Counter(
            instruments, "fairlead_log_failures", "Attempts to reach the database that failed."
        ).labels()
