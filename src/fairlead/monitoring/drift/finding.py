"""What was found of one feature in one window, before it is known what was found of the others."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from fairlead.monitoring.drift.reference import CategoricalReference, NumericReference
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.drift.two_shares import fisher_exact, never_seen

__all__ = ["FeatureKind", "Finding", "Question", "ask_nulls", "ask_values", "percent"]

# A tenth of a feature's chance of a false alarm goes to its nulls: what is wrong with them is rarely subtle.
_NULLS_SHARE = 0.1
_VALUES_SHARE = 1.0 - _NULLS_SHARE


class FeatureKind(enum.StrEnum):
    """What a feature's values are."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing asked of a feature.

    Attributes:
        p_value: how often chance alone answers like this, divided by the question's share of the feature's chance.
        matters: the difference is large enough to be told.
        is_certain: it is drift whatever the other features say.
        told: what happened, in words.
    """

    p_value: float
    matters: bool
    is_certain: bool = False
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """All that was asked of one feature.

    Attributes:
        feature: its name.
        kind: what its values are.
        statistic: the Kolmogorov-Smirnov distance of a numeric feature, Pearson's statistic of a categorical one.
        psi: the population stability index of its values.
        effect: how far they moved: reference standard deviations, or points of share of the category that moved most.
        category: that category; None for numbers.
        questions: of its values, its nulls and its unseen categories; at least one.
    """

    feature: str
    kind: FeatureKind
    statistic: float = 0.0
    psi: float = 0.0
    effect: float = 0.0
    category: str | None = None
    questions: tuple[Question, ...]

    @property
    def p_value(self) -> float:
        """The least of the questions' p-values."""
        return min(question.p_value for question in self.questions)

    @property
    def p_value_that_matters(self) -> float:
        """The least among the differences that are large enough to be told; 1.0 when none is."""
        return min((question.p_value for question in self.questions if question.matters), default=1.0)

    @property
    def is_certain(self) -> bool:
        """Whether one answer alone makes it drift."""
        return any(question.is_certain for question in self.questions)

    @property
    def told(self) -> str:
        """What happened, in words: the answer that stands out most."""
        return min(self.questions, key=lambda asked: (not asked.is_certain, not asked.matters, asked.p_value)).told


def ask_values(p_values: tuple[float, float], told: str, *, matters: bool) -> Question:
    """Whether the values changed, by two tests that see different changes best.

    The smaller p-value counts twice, since either could have been the smaller one (Bonferroni).
    """
    return Question(p_value=min(1.0, 2.0 * min(p_values) / _VALUES_SHARE), matters=matters, told=told)


def ask_nulls(
    nulls: int, rows: int, reference: NumericReference | CategoricalReference, thresholds: DriftThresholds
) -> Question:
    """Whether values are missing more, or less, often than they were. A null where none ever was is a new category."""
    before, now = round(reference.null_share * reference.rows), nulls / rows
    inflation = thresholds.inflation.get(reference.name, 1.0)
    told = f"{reference.name} is missing in {percent(now)} of the rows, before in {percent(reference.null_share)}"
    if not before:
        p_value = never_seen(nulls / inflation, rows / inflation, reference.rows)
        is_new = p_value <= thresholds.never_seen_alpha
        return Question(p_value=min(1.0, p_value / _NULLS_SHARE), matters=is_new, is_certain=is_new, told=told)
    independent = max(1, round(rows / inflation))
    p_value = fisher_exact(round(now * independent), independent, before, reference.rows)
    matters = abs(now - reference.null_share) >= thresholds.min_null_change
    return Question(p_value=min(1.0, p_value / _NULLS_SHARE), matters=matters, told=told)


def percent(share: float) -> str:
    """A share as people read it.

    >>> percent(0.0), percent(0.0204), percent(1.0)
    ('0 %', '2.0 %', '100 %')
    """
    return f"{100.0 * share:.0f} %" if share in {0.0, 1.0} else f"{100.0 * share:.1f} %"
