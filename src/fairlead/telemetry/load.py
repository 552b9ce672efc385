"""How loading goes, by model and version."""

from __future__ import annotations

from fairlead.telemetry.instruments import Counter, Gauge, Histogram, Instruments, Merge

__all__ = ["LoadMetrics"]

_BOUNDS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_WARMUP_BOUNDS_S = (0.001, 0.005, 0.02, *_BOUNDS_S)
_STABLE, _CANDIDATE = "stable", "candidate"


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
        self._warmup = Histogram(
            instruments,
            "fairlead_model_warmup_duration_seconds",
            "Time of a version's first runs, which warm it or prove it, within the time to load it.",
            ["model"],
            bounds=_WARMUP_BOUNDS_S,
        )
        self._memory = Gauge(
            instruments,
            "fairlead_model_memory_bytes",
            "What all workers grew by when they loaded the version; a runtime's own memory counts with its first.",
            ["model", "version"],
            how=Merge.SUM,
        )
        self._provider = Gauge(
            instruments,
            "fairlead_model_provider",
            "1 for what computes the version's answers, where its runtime has a choice.",
            ["model", "version", "provider"],
            how=Merge.MAX,
        )
        self._providers: dict[tuple[str, int], str] = {}
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
        self._version = Gauge(
            instruments,
            "fairlead_release_version",
            "The version that the release in force names as stable, and as candidate while one is tried.",
            ["model", "role"],
            how=Merge.MAX,
        )
        self._weight = Gauge(
            instruments,
            "fairlead_release_weight",
            "Share of the requests that the candidate answers, or gets copies of; 0 while none is tried.",
            ["model"],
            how=Merge.MAX,
        )

    def loaded(
        self, model: str, version: int, seconds: float, *, warmup_s: float, memory_bytes: int, provider: str = ""
    ) -> None:
        """Note a version that can answer.

        Args:
            model: whose version.
            version: its number.
            seconds: that loading took.
            warmup_s: of them, those of its first runs.
            memory_bytes: what the process grew by.
            provider: what computes; empty where there is no choice.
        """
        if provider:
            self._provider.labels(model, str(version), provider).set(1)
            self._providers[model, version] = provider
        self._available.labels(model, str(version)).set(1)
        self._memory.labels(model, str(version)).set(memory_bytes)
        self._seconds.labels(model).observe(seconds)
        self._warmup.labels(model).observe(warmup_s)

    def failed(self, model: str) -> None:
        self._failures.labels(model).inc()

    def unloaded(self, model: str, version: int) -> None:
        self._available.remove(model, str(version))
        self._memory.remove(model, str(version))
        if provider := self._providers.pop((model, version), ""):
            self._provider.remove(model, str(version), provider)

    def released(self, model: str, revision: int, *, stable: int | None, candidate: int | None, weight: float) -> None:
        """Note the release in force.

        Args:
            model: whose.
            revision: of the release.
            stable: the version that answers; None where no release says so.
            candidate: the version that is tried; None for none.
            weight: the candidate's share of the requests.
        """
        self._revision.labels(model).set(revision)
        self._weight.labels(model).set(weight)
        for role, version in ((_STABLE, stable), (_CANDIDATE, candidate)):
            if version is None:
                self._version.remove(model, role)
            else:
                self._version.labels(model, role).set(version)
