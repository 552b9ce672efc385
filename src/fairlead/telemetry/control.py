"""What the control plane has done and is at: retrainings, rollouts, alarms, and when each task succeeded last."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.telemetry.instruments import Counter, Gauge, Instruments, Labels, Merge

__all__ = ["ControlMetrics"]

_VERSION = ("model", "version")


class ControlMetrics:
    """The instruments of the recorder for what stands in the database: totals are those on record, whoever restarts."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._runs = Counter(
            instruments,
            "fairlead_controller_runs",
            "Retrainings that ended, by what set them off and what they came to.",
            ("model", "trigger", "outcome"),
        )
        self._verdicts = Counter(
            instruments, "fairlead_gate_verdicts", "What the gate said of retrained models.", ("model", "verdict")
        )
        self._rollouts = Counter(instruments, "fairlead_rollouts", "Rollouts that ended.", ("model", "outcome"))
        self._step = self._gauge(
            "fairlead_rollout_step", "The step of the rollout under way, from 1; 0 while none is.", ("model",)
        )
        self._started = self._gauge(
            "fairlead_rollout_started_timestamp_seconds", "When the rollout under way began.", ("model",)
        )
        self._success = self._gauge(
            "fairlead_last_success_timestamp_seconds", "When the task succeeded last.", ("model", "task")
        )
        self._alarm = self._gauge(
            "fairlead_drift_alarm",
            "1 while the feature drifts window after window by the controller's rule.",
            (*_VERSION, "arm", "feature"),
        )
        self._floor = self._gauge(
            "fairlead_accuracy_floor", "Accuracy at release less what may be lost without a retraining.", _VERSION
        )

    def ran(self, totals: Mapping[Labels, int]) -> None:
        """Show the retrainings by model, trigger and outcome."""
        for labels, count in totals.items():
            self._runs.labels(*labels).set(count)

    def judged(self, totals: Mapping[Labels, int]) -> None:
        """Show the gate's verdicts by model and verdict."""
        for labels, count in totals.items():
            self._verdicts.labels(*labels).set(count)

    def rolled_out(self, totals: Mapping[Labels, int]) -> None:
        """Show the rollouts that ended, by model and outcome."""
        for labels, count in totals.items():
            self._rollouts.labels(*labels).set(count)

    def stand(self, models: Mapping[str, tuple[int, float] | None]) -> None:
        """Show the step and the beginning, in seconds since 1970, of each model's rollout; None where there is none."""
        self._show(self._step, {(model,): found[0] if found else 0 for model, found in models.items()})
        self._show(self._started, {(model,): found[1] for model, found in models.items() if found})

    def succeeded(self, times: Mapping[Labels, float]) -> None:
        """Show when each task succeeded last, in seconds since 1970, by model, which may be empty, and task."""
        self._show(self._success, times)

    def alarms(self, features: Mapping[Labels, bool]) -> None:
        """Show whether each feature drifts for good, by model, version, arm and feature."""
        self._show(self._alarm, features)

    def floors(self, accuracies: Mapping[Labels, float]) -> None:
        """Show the least accuracy that is fine, by model and version."""
        self._show(self._floor, accuracies)

    def _show(self, gauge: Gauge, values: Mapping[Labels, float]) -> None:
        """Set these, and forget all others."""
        for labels in self._instruments.counted(gauge):
            if labels not in values:
                gauge.remove(*labels)
        for labels, value in values.items():
            gauge.labels(*labels).set(value)

    def _gauge(self, name: str, description: str, label_names: tuple[str, ...]) -> Gauge:
        return Gauge(self._instruments, name, description, label_names, how=Merge.MAX)
