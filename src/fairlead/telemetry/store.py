"""How far a host is behind a store in a bucket."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, CounterSeries, Gauge, GaugeSeries, Instruments, Merge

__all__ = ["StoreMetrics"]


class StoreMetrics:
    """The instruments of a store in a bucket.

    Attributes:
        age_s: seconds since this host's copy was last like the bucket; 0 where the store is a directory.
        failures: attempts to follow the bucket that failed.
    """

    def __init__(self, instruments: Instruments) -> None:
        self.age_s: GaugeSeries = Gauge(
            instruments,
            "fairlead_store_age_seconds",
            "Seconds since this host's copy of the store was last like the bucket; 0 where the store is a directory.",
            how=Merge.MAX,
        ).labels()
        self.failures: CounterSeries = Counter(
            instruments,
            "fairlead_store_failures",
            "Attempts to follow the store's bucket that failed.",
        ).labels()
