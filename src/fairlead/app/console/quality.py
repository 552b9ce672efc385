"""How good the models are, as the console shows it: over time, by what labels say and by what they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.app.console.records import Records
from fairlead.app.control import now_us
from fairlead.app.quality import LEAST_ROWS, ArmQuality, read_quality
from fairlead.console.ports import Document
from fairlead.monitoring.quality import QualityReport
from fairlead.store.store import Store

__all__ = ["LiveQuality"]

_HOUR_US = 3_600_000_000
_SPANS = {
    "24h": (24 * _HOUR_US, _HOUR_US),
    "7d": (168 * _HOUR_US, 6 * _HOUR_US),
    "30d": (720 * _HOUR_US, 24 * _HOUR_US),
}
_USUAL = "24h"
_MOST_ROWS = 100_000


class LiveQuality:
    """A `QualityView` of the running system.

    Args:
        records: the database with what was answered and labelled.
        store: knows the versions' classes and references.
    """

    def __init__(self, records: Records, store: Store) -> None:
        self._records = records
        self._store = store

    def quality(self, model: str, span: str) -> Document:
        span = span if span in _SPANS else _USUAL
        span_us, window_us = _SPANS[span]
        until_us, engine = now_us(), self._records.find()
        found: Sequence[ArmQuality] = ()
        if engine is not None:
            found = read_quality(
                engine,
                self._store,
                model,
                since_us=until_us - span_us,
                until_us=until_us,
                window_us=window_us,
                limit=_MOST_ROWS,
            )
        return {
            "model": model,
            "span": span,
            "spans": list(_SPANS),
            "window_us": window_us,
            "most_rows": _MOST_ROWS,
            "is_cut": sum(one.report.rows for one in found) >= _MOST_ROWS,
            "arms": [_told(one) for one in found],
        }


def _told(one: ArmQuality) -> dict[str, Any]:
    """What the command tells in JSON, and the delay of each window."""
    drift = one.newest.drift
    return {
        **one.to_json(),
        "name": f"version {one.report.version}{f', {one.report.arm}' if one.report.arm else ', by number'}",
        "windows": [_window(report) for report in one.windows],
        "is_judged": drift is not None and one.newest.rows >= LEAST_ROWS,
        "drifted": list(drift.drifted) if drift is not None else [],
    }


def _window(report: QualityReport) -> dict[str, Any]:
    return {
        "since_us": report.since_us,
        "until_us": report.until_us,
        "rows": report.rows,
        "coverage": report.coverage and report.coverage.to_json(),
        "accuracy": report.accuracy and report.accuracy.to_json(),
        "delay_median_s": report.delay_median_s,
        "delay_p95_s": report.delay_p95_s,
    }
