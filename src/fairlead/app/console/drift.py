"""Drift as the console shows it: each feature of the newest rows beside its own reference."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine

from fairlead.app.console.records import Records
from fairlead.console.ports import Document
from fairlead.controller.watch import Watcher, judge_rows, window_values
from fairlead.controller.watch_state import Watch
from fairlead.errors import FairleadError
from fairlead.monitoring.drift.histogram import histogram
from fairlead.monitoring.drift.reference import CategoricalReference, NumericReference, categories
from fairlead.monitoring.drift.window import FeatureDrift
from fairlead.monitoring.prediction import Arm
from fairlead.monitoring.prediction_log import LoggedRow, PredictionLog
from fairlead.monitoring.reference_file import REFERENCE_FILE, ReferenceFile
from fairlead.store.store import Store

__all__ = ["LiveDrift"]

_ROWS, _ROWS_READ = 1_000, 5_000


class LiveDrift:
    """A `DriftView` of the running system.

    Args:
        records: the database with what was answered.
        store: has the versions' references.
    """

    def __init__(self, records: Records, store: Store) -> None:
        self._records = records
        self._store = store

    def drift(self, model: str, version: int | None) -> Document:
        chosen = version if version is not None else self._stable(model)
        engine, versions = self._records.find(), list(reversed(self._store.versions(model)))
        reference, problem = self._reference(model, chosen)
        rows = _newest(engine, model, chosen) if engine is not None and chosen is not None else []
        watch = Watcher(engine, self._store).read(model) if engine is not None else None
        watch = watch if watch is not None and watch.version == chosen else None
        return {
            "model": model,
            "version": chosen,
            "versions": versions,
            "rows": len(rows),
            "since_us": rows[-1].row.at_us if rows else None,
            "until_us": rows[0].row.at_us if rows else None,
            "problem": problem,
            **_judged(reference, rows, watch),
            **_persistent(watch),
        }

    def _stable(self, model: str) -> int | None:
        release = self._store.in_force(model)
        return release.stable if release else None

    def _reference(self, model: str, version: int | None) -> tuple[ReferenceFile | None, str]:
        if version is None:
            return None, "nothing was released yet"
        try:
            return ReferenceFile.read(self._store.base(model) / str(version) / REFERENCE_FILE), ""
        except FairleadError as error:
            return None, error.message


def _newest(engine: Engine, model: str, version: int) -> list[LoggedRow]:
    """The newest rows that the version gave a caller, those that were measured where there are any."""
    rows = PredictionLog(engine).newest(model, limit=_ROWS_READ, version=version)
    given = [one for one in rows if one.row.arm != Arm.SHADOW and one.row.confidence is not None]
    return ([one for one in given if one.row.features is not None] or given)[:_ROWS]


def _judged(reference: ReferenceFile | None, rows: list[LoggedRow], watch: Watch | None) -> dict[str, Any]:
    if reference is None or not rows:
        return {"state": "inconclusive", "features": []}
    report, values = judge_rows(reference, rows, watch.thresholds if watch else None), window_values(rows)
    verdicts = {one.feature: one for one in report.features}
    drawn = [
        {**_verdict(verdicts.get(one.name)), **_shape(one, values.get(one.name, ()))}
        for one in reference.references(values.keys())
    ]
    order = [one.feature for one in report.features]
    if order:
        drawn.sort(key=lambda one: order.index(one["feature"]))
    return {"state": str(report.state), "features": drawn}


def _verdict(found: FeatureDrift | None) -> dict[str, Any]:
    if found is None:
        return {"is_drifted": False, "reason": "", "psi": None, "p_value": None}
    return {"is_drifted": found.is_drifted, "reason": found.reason, "psi": found.psi, "p_value": found.p_value}


def _shape(reference: NumericReference | CategoricalReference, values: Any) -> dict[str, Any]:
    """What is drawn of a feature: shares of the reference and of the rows, by bin or by category."""
    if isinstance(reference, NumericReference):
        shown = histogram(reference, values)
        shares = {"reference": shown.reference.tolist(), "current": shown.current.tolist()}
        return {"feature": reference.name, "kind": "numeric", "edges": shown.edges.tolist(), "shares": shares}
    counts = categories(values)
    total = max(1, counts.total())
    names = [*reference.shares, *sorted(name for name in counts if name not in reference.shares)]
    shares = {
        "reference": [float(reference.shares.get(name, 0.0)) for name in names],
        "current": [counts[name] / total for name in names],
    }
    return {"feature": reference.name, "kind": "categorical", "names": names, "shares": shares}


def _persistent(watch: Watch | None) -> dict[str, Any]:
    """Which features the controller's rule of persistence holds to have drifted, and since when."""
    if watch is None:
        return {"windows": None, "persistent": {}}
    since = {name: watch.history.since[name].at_us for name in watch.history.persistent if name in watch.history.since}
    return {"windows": watch.history.windows, "persistent": since}
