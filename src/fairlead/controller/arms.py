"""Whether both arms of a rollout are asked the same kind of thing."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.monitoring.drift.reference import CategoricalReference, Column, NumericReference
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.drift.window import DriftState, judge_window
from fairlead.monitoring.prediction_log import LoggedRow
from fairlead.rollout.verdict import Verdict

__all__ = ["compare_inputs", "is_look_due"]

_FIRST_ROWS = 500
_DOUBLINGS = 2
_THRESHOLDS = DriftThresholds(false_discovery_rate=0.001)
"""Four looks see 32,000 rows: all of them together are wrong less often than once in a hundred."""


def is_look_due(looks: int, rows: int) -> bool:
    """Whether the candidate has answered enough for look number `looks`, from 0: 500, 2,000, 8,000 ... rows.

    A comparison that is made again and again at any number of rows would find something in the end.

    >>> [is_look_due(0, 499), is_look_due(0, 500), is_look_due(1, 500), is_look_due(1, 2000)]
    [False, True, False, True]
    """
    return rows >= _FIRST_ROWS << _DOUBLINGS * looks


def compare_inputs(stable: Sequence[LoggedRow], candidate: Sequence[LoggedRow]) -> tuple[Verdict, str]:
    """Hold what the candidate was asked against what the stable version was asked, feature by feature.

    Args:
        stable: rows of the stable arm.
        candidate: rows of the candidate's arm.

    Returns:
        What it comes to, and one sentence.
    """
    before, after = _columns(stable), _columns(candidate)
    references = [_describe(name, values) for name, values in before.items() if name in after and _is_known(values)]
    if not references:
        return Verdict.INCONCLUSIVE, "the log has no features of what the arms were asked"
    report = judge_window(references, after, _THRESHOLDS)
    if report.state is DriftState.INCONCLUSIVE:
        return Verdict.INCONCLUSIVE, f"{report.rows:,} rows of the candidate are too few to compare what it is asked"
    if report.state is DriftState.DRIFTED:
        reasons = "; ".join(one.reason for one in report.features if one.is_drifted)
        return Verdict.FAILED, f"the candidate is asked something else than the stable version: {reasons}"
    return Verdict.PASSED, f"{report.rows:,} rows of the candidate are like those of the stable version"


def _columns(rows: Sequence[LoggedRow]) -> dict[str, Column]:
    measured = [one.row.features for one in rows if one.row.features is not None]
    return {name: [features.get(name) for features in measured] for name in (measured[0] if measured else ())}


def _is_known(values: Column) -> bool:
    return any(value is not None for value in values)


def _describe(name: str, values: Column) -> NumericReference | CategoricalReference:
    is_text = any(isinstance(value, str) for value in values)
    return CategoricalReference.describe(name, values) if is_text else NumericReference.describe(name, values)
