"""What the recorder shows of the control plane: read from database and store, so that it is right whoever restarts."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine

from fairlead.app.control import kept_days
from fairlead.config import Settings
from fairlead.controller.figures import ControlFigures, read_figures
from fairlead.controller.watch import Watcher, quality_trigger
from fairlead.errors import FairleadError
from fairlead.monitoring.prediction import Arm
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store
from fairlead.telemetry.control import ControlMetrics
from fairlead.telemetry.instruments import Labels

__all__ = ["Oversight"]

_DAY_US = 86_400_000_000


class Oversight:
    """Looks when it is told to, in one thread.

    Args:
        settings: how long what is kept.
        engine: a migrated database.
        store: the versions.
        metrics: shows what is found.
    """

    def __init__(self, settings: Settings, engine: Engine, store: Store, metrics: ControlMetrics) -> None:
        self._settings = settings
        self._engine = engine
        self._store = store
        self._metrics = metrics
        self._watcher = Watcher(engine, store)

    def look(self) -> frozenset[tuple[str, int]]:
        """Show how things are; the versions that releases name.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer; what was shown before stays.
        """
        models = self._store.models()
        found = read_figures(self._engine, models)
        self._metrics.ran(found.runs)
        self._metrics.judged(found.verdicts)
        self._metrics.rolled_out(found.rollouts)
        self._metrics.stand({model: _in_seconds(found.under_way.get(model)) for model in models})
        self._metrics.succeeded({**dict(self._tasks(found)), **dict(self._trainings(models))})
        self._metrics.alarms(dict(self._alarms(models)))
        released = frozenset((model, version) for model in models for version in self._released(model))
        self._metrics.floors(dict(self._floors(released)))
        return released

    def _tasks(self, found: ControlFigures) -> Iterator[tuple[Labels, float]]:
        if found.backed_up_us is not None:
            yield ("", "backup"), found.backed_up_us / 1e6
        if found.looked_us is not None:
            yield ("", "controller_look"), found.looked_us / 1e6
        days = kept_days(self._settings)
        if found.cutoffs_us.keys() >= days.keys():  # it has succeeded when every class of data was looked at
            swept_us = min(found.cutoffs_us[records] + kept * _DAY_US for records, kept in days.items())
            yield ("", "retention"), swept_us / 1e6

    def _trainings(self, models: tuple[str, ...]) -> Iterator[tuple[Labels, float]]:
        for model in models:
            if versions := self._store.versions(model):
                created_at = self._store.manifest(ServableId(model, versions[-1])).created_at
                yield (model, "training"), created_at.timestamp()

    def _alarms(self, models: tuple[str, ...]) -> Iterator[tuple[Labels, bool]]:
        for model in models:
            watch = self._watcher.read(model)
            if watch is not None and watch.report is not None:
                for found in watch.report["features"]:
                    name = found["feature"]
                    labels = (model, str(watch.version), Arm.STABLE.value, name)
                    yield labels, name in watch.history.persistent

    def _released(self, model: str) -> frozenset[int]:
        release = self._store.in_force(model)
        return release.versions if release else frozenset()

    def _floors(self, released: frozenset[tuple[str, int]]) -> Iterator[tuple[Labels, float]]:
        for model, version in released:
            try:
                trigger = quality_trigger(self._store.manifest(ServableId(model, version)))
            except FairleadError:  # a release may outlive a version
                continue
            if trigger is not None:
                yield (model, str(version)), trigger.line


def _in_seconds(under_way: tuple[int, int] | None) -> tuple[int, float] | None:
    return (under_way[0], under_way[1] / 1e6) if under_way else None
