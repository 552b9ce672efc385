"""Watches the stable version: windows of what it is asked, and the labels that come. It tells, and changes nothing."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, Engine, select

from fairlead.controller.watch_state import Watch
from fairlead.database.engine import database_errors, insert, reading
from fairlead.database.schema import watches
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.arrivals import answers_to, arrivals_after, last_arrival
from fairlead.monitoring.drift.calibration import calibrate
from fairlead.monitoring.drift.persistence import follow
from fairlead.monitoring.drift.reference import Column
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.drift.window import DriftReport, judge_window
from fairlead.monitoring.prediction import Arm
from fairlead.monitoring.prediction_log import LoggedRow, PredictionLog
from fairlead.monitoring.quality_trigger import QualityTrigger
from fairlead.monitoring.reference_file import CONFIDENCE, PREDICTED, REFERENCE_FILE, ReferenceFile
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.store import Store

__all__ = ["Alarm", "Concern", "Watcher", "judge_rows", "quality_trigger", "window_values"]

WINDOW_ROWS = 500
CALIBRATING_WINDOWS = 11
_ROWS_AT_ONCE = 5_000
_QUIET_LABELS = 30_000


class Concern(enum.StrEnum):
    """What an alarm is about."""

    DRIFT = "drift"
    """What the version is asked has changed, window after window."""
    QUALITY = "quality"
    """Its answers are wrong more often than they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something that people should know, told once.

    Attributes:
        concern: what about.
        model, version: which.
        why: one sentence with the figures.
        key: names the occasion.
        evidence: the figures, for the journal.
    """

    concern: Concern
    model: str
    version: int
    why: str
    key: str
    evidence: Mapping[str, Any]


class Watcher:
    """Brings watches forward.

    Args:
        engine: where log, labels and watches are.
        store: knows the versions and their references.
        fence: see `RolloutRecords`.
    """

    def __init__(self, engine: Engine, store: Store, fence: Callable[[Connection], None] | None = None) -> None:
        self._engine = engine
        self._store = store
        self._fence = fence
        self._log = PredictionLog(engine)

    def step(self, model: str, tell: Callable[[Alarm], None]) -> None:
        """Judge what is new of the model's stable version.

        Args:
            model: its name.
            tell: called with each alarm before it is noted that it was raised: whoever is killed in between is
                followed by one that raises it again, under the same key.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer, and what the store raises.
        """
        release = self._store.release(model)
        if release is None:
            return
        watch = self.read(model)
        if watch is None or watch.version != release.stable:
            watch = self._begin(ServableId(model, release.stable))
        watch, drift = self._drift(watch)
        watch, quality = self._quality(watch)
        for alarm in (*drift, *quality):
            tell(alarm)
        self._save(watch)

    def read(self, model: str) -> Watch | None:
        """What was seen of the model so far; None when nothing was."""
        with database_errors(self._engine), reading(self._engine) as connection:
            row = connection.execute(select(watches).where(watches.c.model == model)).one_or_none()
        return None if row is None else Watch.from_row(row)

    def _begin(self, id_: ServableId) -> Watch:
        """Watch a version that has become stable: what another was asked before counts for nothing."""
        return Watch(
            model=id_.model,
            version=id_.version,
            first=(last := self._log.last()),
            position=last,
            label_position=last_arrival(self._engine),
            quality=quality_trigger(self._store.manifest(id_)),
        )

    def _drift(self, watch: Watch) -> tuple[Watch, list[Alarm]]:
        reference = self._reference(watch)
        alarms: list[Alarm] = []
        if reference is None:
            return watch, alarms
        while (found := self._window(watch, watch.position)) is not None:
            rows, position = found
            report = judge_rows(reference, rows, watch.thresholds)
            history = follow(watch.history, report, rows[0].row.at_us)
            new = tuple(feature for feature in history.persistent if feature not in watch.told)
            told = tuple(feature for feature in (*watch.told, *new) if feature in history.since)
            watch = replace(watch, position=position, history=history, told=told, report=report.to_json())
            if watch.inflation is None and history.windows >= CALIBRATING_WINDOWS:
                watch = replace(watch, inflation=self._calibrate(watch, reference))
            if new:
                alarms.append(_drifted(watch, report, new, position))
        return watch, alarms

    def _calibrate(self, watch: Watch, reference: ReferenceFile) -> Mapping[str, float] | None:
        """How many of the version's rows say as much as one independent row, by its first windows; None without them.

        The window that would raise it most is left out: the one in which a change began, where there was one.
        """
        windows: list[Mapping[str, Column]] = []
        position = watch.first
        while len(windows) < CALIBRATING_WINDOWS:
            if (found := self._window(watch, position)) is None:
                return None
            windows.append(window_values(found[0]))
            position = found[1]
        known = reference.references(windows[0].keys())
        without = [calibrate(known, windows[:at] + windows[at + 1 :]).inflation for at in range(len(windows))]
        return {feature: min(one[feature] for one in without) for feature in without[0]}

    def _window(self, watch: Watch, position: int) -> tuple[list[LoggedRow], int] | None:
        """The next whole window of the version's rows, and where it ends; None while it is not there yet."""
        rows: list[LoggedRow] = []
        while more := self._log.after(watch.model, position, limit=_ROWS_AT_ONCE):
            for one in more:
                position = one.seq
                if one.row.version == watch.version and one.row.arm == Arm.STABLE and one.row.features is not None:
                    rows.append(one)
                    if len(rows) == WINDOW_ROWS:
                        return rows, position
        return None

    def _quality(self, watch: Watch) -> tuple[Watch, list[Alarm]]:
        """Fold in the labels that came; those whose answer is not logged yet are left to the report on quality."""
        alarms: list[Alarm] = []
        while arrivals := arrivals_after(self._engine, watch.label_position, limit=_ROWS_AT_ONCE):
            answers = answers_to(self._engine, [one.prediction_id for one in arrivals])
            right = [
                one.predicted == arrival.label
                for arrival in arrivals
                for one in answers.get(arrival.prediction_id, ())
                if (one.model, one.version) == (watch.model, watch.version) and one.arm != Arm.SHADOW
            ]
            watch = replace(watch, label_position=arrivals[-1].seq)
            if watch.quality is not None and right:
                before = (watch.quality.right, watch.quality.labels)
                if watch.quality.add(np.array(right, np.bool_)):
                    alarms.append(_degraded(watch, watch.quality, before, right))
        return watch, alarms

    def _reference(self, watch: Watch) -> ReferenceFile | None:
        try:
            directory = self._store.root / watch.model / str(watch.version)
            return ReferenceFile.read(directory / REFERENCE_FILE)
        except FairleadError as error:
            if error.code is Code.NOT_FOUND:  # a version of somebody else's making
                return None
            raise

    def _save(self, watch: Watch) -> None:
        values = watch.to_row()
        with database_errors(self._engine), self._engine.begin() as connection:
            if self._fence:
                self._fence(connection)
            statement = insert(connection, watches).values(model=watch.model, **values)
            connection.execute(statement.on_conflict_do_update(index_elements=["model"], set_=values))


def quality_trigger(manifest: Manifest) -> QualityTrigger | None:
    """What watches a version's labels from its release on; None where its accuracy is not known, or next to nothing."""
    accuracy = manifest.metrics.get("accuracy")
    if accuracy is None:
        return None
    try:
        return QualityTrigger(reference=accuracy, quiet_labels=_QUIET_LABELS)
    except FairleadError:  # so bad that there is nothing to lose
        return None


def judge_rows(
    reference: ReferenceFile, rows: Sequence[LoggedRow], thresholds: DriftThresholds | None = None
) -> DriftReport:
    """Hold a window of rows against a version's own reference."""
    values = window_values(rows)
    return judge_window(reference.references(values.keys()), values, thresholds or DriftThresholds())


def window_values(rows: Sequence[LoggedRow]) -> dict[str, Any]:
    """The columns of a window: every drift feature, the predicted class, and the confidence."""
    names = list(rows[0].row.features or ()) if rows else []
    columns: dict[str, Any] = {name: [(one.row.features or {}).get(name) for one in rows] for name in names}
    columns[PREDICTED] = [one.row.predicted for one in rows]
    columns[CONFIDENCE] = [one.row.confidence for one in rows]
    return columns


def _drifted(watch: Watch, report: DriftReport, features: Sequence[str], position: int) -> Alarm:
    reasons = [one.reason for one in report.features if one.feature in features]
    return Alarm(
        concern=Concern.DRIFT,
        model=watch.model,
        version=watch.version,
        why="; ".join(reasons) or f"{', '.join(features)} drifted",
        key=f"drift:{watch.version}:{position}",
        evidence={"features": list(features), "window": report.to_json()},
    )


def _degraded(watch: Watch, quality: QualityTrigger, before: tuple[int, int], right: Sequence[bool]) -> Alarm:
    labels, hits = before[1] + len(right), before[0] + sum(right)
    return Alarm(
        concern=Concern.QUALITY,
        model=watch.model,
        version=watch.version,
        why=f"{hits / labels:.1%} of the last {labels:,} labelled answers were right, and "
        f"{quality.reference:.1%} at its release",
        key=f"quality:{watch.version}:{watch.label_position}",
        evidence={"labels": labels, "right": hits, "reference": quality.reference, "line": quality.line},
    )
