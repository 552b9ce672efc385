"""The judgement of one window of rows: which features drifted, by how much, in words."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.categorical import judge_categories
from fairlead.monitoring.drift.false_discovery import discoveries
from fairlead.monitoring.drift.finding import FeatureKind, Finding
from fairlead.monitoring.drift.numeric import judge_numbers
from fairlead.monitoring.drift.reference import CategoricalReference, Column, NumericReference
from fairlead.monitoring.drift.thresholds import DriftThresholds

__all__ = ["DriftReport", "DriftState", "FeatureDrift", "judge_window"]


class DriftState(enum.StrEnum):
    """What the window allows one to say. Too few rows say nothing, and are never quiet."""

    QUIET = "quiet"
    DRIFTED = "drifted"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureDrift:
    """One feature of one window.

    Attributes:
        feature: its name.
        kind: what its values are.
        statistic: the Kolmogorov-Smirnov distance of a numeric feature, Pearson's statistic of a categorical one.
        p_value: how often a feature that did not change looks like this, before the number of features is minded.
        psi: the population stability index of its values.
        effect: how far they moved; of numbers in reference standard deviations, below 0 when they fell; of categories
            in points of share, 0.05 for five of a hundred, of the category that moved most.
        category: that category; None for numbers.
        is_drifted: it stands out from chance among all features, and by enough to matter.
        reason: a sentence for people.
    """

    feature: str
    kind: FeatureKind
    statistic: float
    p_value: float
    psi: float
    effect: float
    category: str | None
    is_drifted: bool
    reason: str

    def to_json(self) -> dict[str, Any]:
        return {
            "feature": self.feature,
            "kind": str(self.kind),
            "statistic": self.statistic,
            "p_value": self.p_value,
            "psi": self.psi,
            "effect": self.effect,
            "category": self.category,
            "is_drifted": self.is_drifted,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """What was found in one window.

    Attributes:
        rows: how many it has.
        state: the answer.
        features: of every reference, the most drifted first; none when there were too few rows.
    """

    rows: int
    state: DriftState
    features: tuple[FeatureDrift, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        """The names of the features that drifted, the most drifted first."""
        return tuple(found.feature for found in self.features if found.is_drifted)

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "state": str(self.state),
            "features": [found.to_json() for found in self.features],
        }


def judge_window(
    references: Sequence[NumericReference | CategoricalReference],
    values: Mapping[str, Column],
    thresholds: DriftThresholds = DriftThresholds(),  # noqa: B008 - a frozen value
) -> DriftReport:
    """Compare a window of rows with what the features looked like when the model was judged.

    A feature has drifted when it stands out from chance among all features together (Benjamini and Hochberg) by a
    difference that is large enough to matter, or when it has a category, or nulls, where the reference had none.

    Args:
        references: of the features to be judged, each once.
        values: by feature, one value a row, all of the same number of rows; a feature that is missing is null in every
            row, and one without a reference is not looked at.
        thresholds: where a difference becomes drift.

    Raises:
        FairleadError: INVALID_ARGUMENT when columns differ in length or a feature has two references.

    >>> ink = NumericReference(name="ink", quantiles=tuple(range(0, 101)), rows=10_000)
    >>> colour = CategoricalReference(name="colour", shares={"red": 0.5, "blue": 0.5}, rows=10_000)
    >>> window = {"ink": [row % 60 for row in range(600)], "colour": ["red", "blue"] * 300}
    >>> report = judge_window([ink, colour], window)
    >>> str(report.state), report.drifted, report.features[0].reason
    ('drifted', ('ink',), 'ink fell by 0.6 sd (PSI 2.10)')
    >>> str(judge_window([ink, colour], {"ink": [4.0], "colour": ["red"]}).state)
    'inconclusive'
    """
    rows = _count_rows(references, values)
    if rows < thresholds.min_rows or not references:
        return DriftReport(rows=rows, state=DriftState.INCONCLUSIVE, features=())
    findings = [_judge(reference, values.get(reference.name, ()), rows, thresholds) for reference in references]
    stand_out = discoveries([finding.p_value_that_matters for finding in findings], thresholds.false_discovery_rate)
    features = sorted(map(_conclude, findings, stand_out), key=_least_drifted)
    state = DriftState.DRIFTED if any(found.is_drifted for found in features) else DriftState.QUIET
    return DriftReport(rows=rows, state=state, features=tuple(features))


def _judge(
    reference: NumericReference | CategoricalReference, values: Column, rows: int, thresholds: DriftThresholds
) -> Finding:
    if isinstance(reference, NumericReference):
        return judge_numbers(reference, values, rows, thresholds)
    return judge_categories(reference, values, rows, thresholds)


def _conclude(finding: Finding, stands_out: bool) -> FeatureDrift:
    return FeatureDrift(
        feature=finding.feature,
        kind=finding.kind,
        statistic=finding.statistic,
        p_value=finding.p_value,
        psi=finding.psi,
        effect=finding.effect,
        category=finding.category,
        is_drifted=stands_out or finding.is_certain,
        reason=finding.told,
    )


def _least_drifted(found: FeatureDrift) -> tuple[bool, float, float, str]:
    return not found.is_drifted, found.p_value, -found.psi, found.feature


def _count_rows(references: Sequence[NumericReference | CategoricalReference], values: Mapping[str, Column]) -> int:
    names = [reference.name for reference in references]
    if len(set(names)) < len(names):
        told = f"a feature has two references: {', '.join(sorted({name for name in names if names.count(name) > 1}))}"
        raise FairleadError(Code.INVALID_ARGUMENT, told)
    lengths = {name: len(values[name]) for name in names if name in values}
    if len(set(lengths.values())) > 1:
        told = f"the columns of one window have different numbers of rows: {lengths}"
        raise FairleadError(Code.INVALID_ARGUMENT, told)
    return next(iter(lengths.values()), 0)
