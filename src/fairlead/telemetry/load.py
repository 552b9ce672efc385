"""How loading goes, by model and version."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, Gauge, Histogram, Instruments, Merge

__all__ = ["LoadMetrics"]

_BOUNDS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class LoadMetrics:
    """The instruments of the manager. Safe in threads, as long as no two load the same model."""

    def __init__(self, instruments: Instruments) -> None:
        self._available = Gauge(
            instruments,
            "fairlead_model_available",
            "1 while the version can answer.",
            ["model", "version"],
            how=Merge.MAX,
        )
        self._seconds = Histogram(
            instruments,
            "fairlead_model_load_duration_seconds",
            "Time to verify, load, warm and prove a version.",
            ["model"],
            bounds=_BOUNDS_S,
        )
        self._failures = Counter(
            instruments, "fairlead_model_load_failures", "Attempts to load that failed.", ["model"]
        )
        self._revision = Gauge(
            instruments,
            "fairlead_release_revision",
            "The release in force, the newest that a process has read.",
            ["model"],
            how=Merge.MAX,
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
