"""How good each version of a model is in production: what labels say, an estimate where they are few, and drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine

from fairlead.controller.watch import Watcher, judge_rows
from fairlead.errors import FairleadError
from fairlead.monitoring.drift.reference import Column
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.drift.window import DriftReport
from fairlead.monitoring.estimate import Estimate, estimate_accuracy
from fairlead.monitoring.prediction_log import Count, LoggedRow, PredictionLog
from fairlead.monitoring.quality import Answers, QualityReport, assess, by_window
from fairlead.monitoring.quality_query import read_answers
from fairlead.monitoring.reference_file import REFERENCE_FILE, ReferenceFile
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store

__all__ = ["LEAST_ROWS", "ArmQuality", "Newest", "read_quality"]

LEAST_ROWS = 500
"""Fewer rows say nothing about drift."""

_WINDOW_ROWS = 1_000
_ROWS_READ = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """What the newest rows of a version say without labels.

    Attributes:
        rows: how many there are, 1,000 at most.
        since_us, until_us: when the oldest and the newest of them was asked for; 0 without rows.
        estimate: of their accuracy; None without rows or a calibration.
        drift: against the version's own reference; None without a reference.
        problem: why there is no reference; empty where there is one.
    """

    rows: int
    since_us: int
    until_us: int
    estimate: Estimate | None
    drift: DriftReport | None
    problem: str

    def to_json(self) -> dict[str, Any]:
        """As a program reads it."""
        estimate = self.estimate
        told = estimate and {
            "value": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "is_in_range": estimate.is_in_range,
            "reason": estimate.reason,
        }
        return {
            "rows": self.rows,
            "since_us": self.since_us,
            "until_us": self.until_us,
            "estimated_accuracy": told,
            "drift": self.drift and self.drift.to_json(),
            "problem": self.problem,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmQuality:
    """One version in one arm.

    Attributes:
        report: over all the time that was asked for.
        asked: rows that were asked for, by the exact counts of whole minutes, whatever share of them is logged.
        failed: how many of these were not answered.
        windows: the same, piece by piece, the oldest first; those without rows are left out.
        newest: what can be said without labels.
    """

    report: QualityReport
    asked: int
    failed: int
    windows: tuple[QualityReport, ...]
    newest: Newest

    def to_json(self) -> dict[str, Any]:
        """As a program reads it."""
        windows = [
            {
                "since_us": one.since_us,
                "until_us": one.until_us,
                "rows": one.rows,
                "coverage": one.coverage and one.coverage.to_json(),
                "accuracy": one.accuracy and one.accuracy.to_json(),
            }
            for one in self.windows
        ]
        counts = {"asked": self.asked, "failed": self.failed}
        return {**self.report.to_json(), **counts, "windows": windows, "newest": self.newest.to_json()}


def read_quality(
    engine: Engine,
    store: Store,
    model: str,
    *,
    since_us: int,
    until_us: int,
    window_us: int,
    version: int | None = None,
    limit: int = 500_000,
) -> tuple[ArmQuality, ...]:
    """Read what the log and the labels say of a model.

    Args:
        engine: a migrated database.
        store: knows the versions' classes and references.
        model: its name.
        since_us: the beginning, by the time of the predictions.
        until_us: the end, which is not in it.
        window_us: how long a piece is.
        version: only this one; None for every one.
        limit: how many rows are read, the newest.

    Returns:
        Each version and arm that answered in that time, in their order.

    Raises:
        FairleadError: UNAVAILABLE when the database does not answer, INVALID_ARGUMENT for a window below 1.
    """
    found = read_answers(engine, model, since_us=since_us, until_us=until_us, version=version, limit=limit)
    if not found:
        return ()
    log = PredictionLog(engine)
    counts = log.counts(model, since_us=since_us, until_us=until_us)
    newest = log.newest(model, limit=_ROWS_READ)
    watch = Watcher(engine, store).read(model)
    own = {watch.version: watch.thresholds} if watch else {}
    return tuple(
        _arm(store, one, counts, newest, window_us=window_us, thresholds=own.get(one.version, DriftThresholds()))
        for one in found
    )


def _arm(
    store: Store,
    answers: Answers,
    counts: Sequence[Count],
    newest: Sequence[LoggedRow],
    *,
    window_us: int,
    thresholds: DriftThresholds,
) -> ArmQuality:
    id_ = ServableId(answers.model, answers.version)
    classes = _classes(store, id_)
    pieces = (piece for piece in by_window(answers, window_us) if len(piece.truth))
    rows = [one for one in newest if (one.row.version, one.row.arm) == (answers.version, answers.arm)]
    judged = [one for one in rows if one.row.confidence is not None]
    measured = [one for one in judged if one.row.features is not None] or judged  # some models have no features
    exact = [one for one in counts if (one.version, one.arm) == (answers.version, answers.arm)]
    return ArmQuality(
        report=assess(answers, classes=classes),
        asked=sum(one.rows for one in exact),
        failed=sum(one.errors for one in exact),
        windows=tuple(assess(piece, classes=classes) for piece in pieces),
        newest=_newest(store, id_, measured[:_WINDOW_ROWS], thresholds),
    )


def _newest(store: Store, id_: ServableId, rows: Sequence[LoggedRow], thresholds: DriftThresholds) -> Newest:
    times = [one.row.at_us for one in rows]
    reference, problem = None, ""
    try:
        reference = ReferenceFile.read(store.base(id_.model) / str(id_.version) / REFERENCE_FILE)
    except FairleadError as error:
        problem = error.message
    return Newest(
        rows=len(rows),
        since_us=min(times, default=0),
        until_us=max(times, default=0),
        estimate=_estimate(reference, rows) if reference is not None and rows else None,
        drift=judge_rows(reference, rows, thresholds) if reference is not None else None,
        problem=problem,
    )


def _estimate(reference: ReferenceFile, rows: Sequence[LoggedRow]) -> Estimate | None:
    if reference.calibration is None:
        return None
    names = [one.name for one in reference.calibration.features if one.name in (rows[0].row.features or {})]
    features: Mapping[str, Column] = {name: [(one.row.features or {}).get(name) for one in rows] for name in names}
    confidences = np.array([one.row.confidence for one in rows], dtype=np.float64)
    return estimate_accuracy(reference.calibration, confidences, features)


def _classes(store: Store, id_: ServableId) -> tuple[str, ...] | None:
    """What the version's manifest names; None for any, where it names none or is gone."""
    try:
        return store.manifest(id_).labels or None
    except FairleadError:
        return None
