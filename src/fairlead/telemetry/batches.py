"""How requests meet in batches, by model and version."""

from __future__ import annotations

from collections.abc import Iterable

from fairlead.telemetry.instruments import Counter, Gauge, GaugeSeries, Histogram, Instruments, Merge

__all__ = ["BatchMetrics"]

_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_VERSION = ("model", "version")


class BatchMetrics:
    """The instruments of the predictor.

    Attributes:
        in_flight: requests that are held.
        saturation: the same, as a share of those that may be.
    """

    def __init__(self, instruments: Instruments) -> None:
        asked = (*_VERSION, "label")
        self.in_flight: GaugeSeries = Gauge(
            instruments, "fairlead_in_flight", "Requests that are held, those that wait included.", how=Merge.SUM
        ).labels()
        self.saturation: GaugeSeries = Gauge(
            instruments,
            "fairlead_saturation",
            "Share of the requests that a worker may hold that it holds; that of the worker with the most.",
            how=Merge.MAX,
        ).labels()
        self._depth = Gauge(
            instruments, "fairlead_queue_depth", "Requests that wait for their batch.", _VERSION, how=Merge.SUM
        )
        self._age = Gauge(
            instruments,
            "fairlead_queue_age_seconds",
            "How long the request that came first of those that wait has waited; 0 when none does.",
            _VERSION,
            how=Merge.MAX,
        )
        self._rows = Histogram(instruments, "fairlead_batch_rows", "Rows that ran together.", _VERSION, bounds=_ROWS)
        self._batches = Counter(
            instruments, "fairlead_batches", "Batches, by why they were run when they were.", (*_VERSION, "reason")
        )
        self._queue = Histogram(
            instruments,
            "fairlead_queue_duration_seconds",
            "Time a request waited for its batch to start.",
            asked,
            bounds=_BOUNDS_S,
        )
        self._compute = Histogram(
            instruments,
            "fairlead_compute_duration_seconds",
            "Time that the batch of a request ran.",
            asked,
            bounds=_BOUNDS_S,
        )
        self._expired = Counter(
            instruments, "fairlead_expired", "Requests dropped before they were run: their deadline passed.", _VERSION
        )
        self._cancelled = Counter(
            instruments, "fairlead_cancelled", "Requests dropped before they were run: their client left.", _VERSION
        )
        self._nonfinite = Counter(
            instruments, "fairlead_nonfinite_outputs", "Rows of outputs that held a NaN or an infinity.", _VERSION
        )

    def ran(
        self,
        model: str,
        version: int,
        *,
        rows: int,
        waited: Iterable[tuple[str, float]],
        compute_s: float,
        reason: str,
    ) -> None:
        """Note one batch.

        Args:
            model: what ran it.
            version: its version.
            rows: in all.
            waited: for each request the label that it asked for, or nothing, and the seconds that it waited.
            compute_s: seconds that it ran.
            reason: why it was run then.
        """
        number = str(version)
        self._rows.labels(model, number).observe(rows)
        self._batches.labels(model, number, reason).inc()
        waits: dict[str, list[float]] = {}
        for label, seconds in waited:
            waits.setdefault(label, []).append(seconds)
        for label, seconds_each in waits.items():
            self._queue.labels(model, number, label).observe_all(seconds_each)
            self._compute.labels(model, number, label).observe(compute_s, len(seconds_each))

    def traced(self, model: str, version: int, *, label: str, trace_id: str, waited_s: float, compute_s: float) -> None:
        """Let a request of a batch that was noted stand for those like it: the trace says more of it."""
        asked = (model, str(version), label)
        self._queue.exemplars.labels(*asked).note(waited_s, trace_id)
        self._compute.exemplars.labels(*asked).note(compute_s, trace_id)

    def waits(self, model: str, version: str, depth: int, age_s: float) -> None:
        """Show how many requests wait for a version, and how long the first of them has."""
        self._depth.labels(model, version).set(depth)
        self._age.labels(model, version).set(age_s)

    def nonfinite(self, model: str, version: int, rows: int) -> None:
        """Note answers that are no numbers."""
        self._nonfinite.labels(model, str(version)).inc(rows)

    def expired(self, model: str, version: int) -> None:
        self._expired.labels(model, str(version)).inc()

    def cancelled(self, model: str, version: int) -> None:
        self._cancelled.labels(model, str(version)).inc()
