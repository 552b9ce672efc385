"""How good the versions are in production, as gauges."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.telemetry.instruments import Gauge, Instruments, Merge

__all__ = ["QualityMetrics"]

_ARM = ("model", "version", "arm")


class QualityMetrics:
    """The instruments of the recorder, which alone reads labels. A figure that cannot be told has no series."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._figures = {
            "accuracy": self._gauge("fairlead_online_accuracy", "Share of labelled answers that were right."),
            "low": self._gauge("fairlead_online_accuracy_low", "Lower end of its 95 % interval."),
            "high": self._gauge("fairlead_online_accuracy_high", "Upper end of its 95 % interval."),
            "coverage": self._gauge("fairlead_label_coverage", "Share of answers that have a label."),
            "delay": self._gauge("fairlead_label_delay_seconds", "Median time from a prediction to its first label."),
            "estimate": self._gauge(
                "fairlead_estimated_accuracy", "Accuracy estimated without labels, while it is in range."
            ),
        }
        self._drift = Gauge(
            instruments,
            "fairlead_drift_score",
            "Population stability index of the newest window against the version's reference.",
            (*_ARM, "feature"),
            how=Merge.MAX,
        )

    def set(self, model: str, version: int, arm: str, figures: Mapping[str, float]) -> None:
        """Show figures of one arm; the others keep what they show."""
        for name, value in figures.items():
            self._figures[name].labels(model, str(version), arm).set(value)

    def set_drift(self, model: str, version: int, arm: str, scores: Mapping[str, float]) -> None:
        """Show the drift of each feature."""
        for feature, score in scores.items():
            self._drift.labels(model, str(version), arm, feature).set(score)

    def retain(self, versions: frozenset[tuple[str, int]]) -> None:
        """Forget the other versions."""
        self._instruments.retain(lambda model, version: (model, int(version)) in versions)

    def _gauge(self, name: str, description: str) -> Gauge:
        return Gauge(self._instruments, name, description, _ARM, how=Merge.MAX)
