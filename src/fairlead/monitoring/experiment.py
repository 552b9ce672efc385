"""The report of an A/B experiment: how large the effect is, how sure one may be of it, and how much was needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.significance.distributions import chi_squared_survival
from fairlead.significance.shares import wilson_interval

__all__ = [
    "ArmLabels",
    "ExperimentReport",
    "difference_interval",
    "difference_p",
    "needed_labels",
    "paired_interval",
    "report",
    "split_p",
    "stratified_interval",
]

_NORMAL = NormalDist()

# So unlikely a split or difference of label rates is a fault of the experiment, not chance.
_INVALID_P = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmLabels:
    """One arm, counted.

    Attributes:
        answered: rows it answered.
        labelled: of those, how many a label came for.
        right: of those, how many it got right.
    """

    answered: int
    labelled: int
    right: int

    def __post_init__(self) -> None:
        if not 0 <= self.right <= self.labelled <= self.answered:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"{self.right} right of {self.labelled} labels of {self.answered} rows cannot be"
            )

    @property
    def accuracy(self) -> float | None:
        return self.right / self.labelled if self.labelled else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentReport:
    """An A/B experiment at one moment.

    The interval and the p-value hold for one look, at the horizon that was set beforehand. Read daily, they call one
    experiment in three a success; what may be read daily are the guards.

    Attributes:
        stable, candidate: the arms.
        effect: the candidate's accuracy less the stable version's; None while an arm has no labels.
        low, high: its interval at `confidence`; -1 and 1 while an arm has no labels.
        p: two-sided; 1.0 while an arm has no labels.
        confidence: of the interval.
        needed_candidate_labels: labels of the candidate that would show a difference of `least_effect` with
            a probability of `power`; None while the stable version has no labels.
        least_effect, power: what the needed labels are for.
        split_p: how often chance alone would split the rows this far from the planned weight.
        label_rate_p: how often chance alone would label the arms at rates this far apart.
    """

    stable: ArmLabels
    candidate: ArmLabels
    effect: float | None
    low: float
    high: float
    p: float
    confidence: float
    needed_candidate_labels: int | None
    least_effect: float
    power: float
    split_p: float
    label_rate_p: float

    @property
    def is_valid(self) -> bool:
        """Whether the arms can be compared at all: split as planned, and labelled alike (both p at least 0.001)."""
        return min(self.split_p, self.label_rate_p) >= _INVALID_P

    def to_json(self) -> dict[str, Any]:
        arms = {
            name: {"answered": arm.answered, "labelled": arm.labelled, "right": arm.right, "accuracy": arm.accuracy}
            for name, arm in (("stable", self.stable), ("candidate", self.candidate))
        }
        return {
            **arms,
            "effect": self.effect,
            "low": self.low,
            "high": self.high,
            "p": self.p,
            "confidence": self.confidence,
            "needed_candidate_labels": self.needed_candidate_labels,
            "least_effect": self.least_effect,
            "power": self.power,
            "split_p": self.split_p,
            "label_rate_p": self.label_rate_p,
            "is_valid": self.is_valid,
        }


def report(
    stable: ArmLabels,
    candidate: ArmLabels,
    *,
    weight: float,
    least_effect: float = 0.02,
    confidence: float = 0.95,
    power: float = 0.8,
) -> ExperimentReport:
    """Report on an experiment whose candidate was to get the share `weight` of rows.

    >>> told = report(
    ...     ArmLabels(answered=2000, labelled=1000, right=900),
    ...     ArmLabels(answered=2000, labelled=1000, right=930),
    ...     weight=0.5,
    ... )
    >>> round(told.effect, 3), round(told.low, 4), round(told.high, 4), round(told.p, 4)
    (0.03, 0.0055, 0.0547, 0.0162)
    >>> told.needed_candidate_labels, told.is_valid
    (3841, True)
    """
    has_both = stable.labelled > 0 and candidate.labelled > 0
    low, high = difference_interval(stable, candidate, confidence)
    needed = None
    if stable.labelled:
        needed = needed_labels(stable.right / stable.labelled, least_effect, weight=weight, power=power)
    return ExperimentReport(
        stable=stable,
        candidate=candidate,
        effect=candidate.right / candidate.labelled - stable.right / stable.labelled if has_both else None,
        low=low,
        high=high,
        p=difference_p(stable.right, stable.labelled, candidate.right, candidate.labelled),
        confidence=confidence,
        needed_candidate_labels=needed,
        least_effect=least_effect,
        power=power,
        split_p=split_p(candidate.answered, [(stable.answered + candidate.answered, weight)]),
        label_rate_p=difference_p(stable.labelled, stable.answered, candidate.labelled, candidate.answered),
    )


def difference_interval(stable: ArmLabels, candidate: ArmLabels, confidence: float) -> tuple[float, float]:
    """Where the candidate's accuracy less the stable version's plausibly lies; (-1, 1) while an arm has no labels.

    Source: R. G. Newcombe, "Interval estimation for the difference between independent proportions: comparison of
    eleven methods", Statistics in Medicine 17 (1998), 873-890, method 10.

    >>> eighty, seventy = ArmLabels(answered=80, labelled=80, right=48), ArmLabels(answered=70, labelled=70, right=56)
    >>> [round(end, 4) for end in difference_interval(eighty, seventy, 0.95)]
    [0.0524, 0.3339]
    """
    if not stable.labelled or not candidate.labelled:
        return -1.0, 1.0
    old, new = stable.right / stable.labelled, candidate.right / candidate.labelled
    old_low, old_high = wilson_interval(stable.right, stable.labelled, confidence)
    new_low, new_high = wilson_interval(candidate.right, candidate.labelled, confidence)
    effect = new - old
    return effect - math.hypot(new - new_low, old_high - old), effect + math.hypot(new_high - new, old - old_low)


def stratified_interval(strata: list[tuple[ArmLabels, ArmLabels]], confidence: float) -> tuple[float, float]:
    """The interval of the difference when weights changed on the way: each (stable, candidate) pair is one weight.

    Pooling all labels would compare the candidate's late ones with the stable version's early ones. Here arms meet
    only within a pair, and pairs count by the labels in them (as Mantel and Haenszel weigh them). Ends are the mean
    of Newcombe's, with their distances from the effect added in squares. (-1, 1) when no pair has labels of both.

    >>> pair = ArmLabels(answered=900, labelled=900, right=810), ArmLabels(answered=100, labelled=100, right=92)
    >>> [round(end, 3) for end in stratified_interval([pair, pair], 0.9)]
    [-0.021, 0.047]
    """
    pairs = [pair for pair in strata if pair[0].labelled and pair[1].labelled]
    if not pairs:
        return -1.0, 1.0
    weights = [old.labelled * new.labelled / (old.labelled + new.labelled) for old, new in pairs]
    effect = below = above = 0.0
    for (old, new), weight in zip(pairs, weights, strict=True):
        part = weight / sum(weights)
        low, high = difference_interval(old, new, confidence)
        middle = new.right / new.labelled - old.right / old.labelled
        effect += part * middle
        below = math.hypot(below, part * (middle - low))
        above = math.hypot(above, part * (high - middle))
    return effect - below, effect + above


def paired_interval(only_stable: int, only_candidate: int, n: int, confidence: float) -> tuple[float, float]:
    """The interval of the difference when both versions answered the same `n` rows; (-1, 1) without rows.

    Args:
        only_stable: rows that only the stable version got right.
        only_candidate: rows that only the candidate got right.
        n: rows with a label, agreed on or not.
        confidence: two-sided.

    Source: A. Agresti and Y. Min, "Simple improved confidence intervals for comparing matched proportions",
    Statistics in Medicine 24 (2005), 729-740: Wald's interval with half a row added to each of the four cells.

    >>> [round(end, 4) for end in paired_interval(20, 32, 1000, 0.9)]
    [0.0, 0.0239]
    """
    if not n:
        return -1.0, 1.0
    rows, worse, better = n + 2, only_stable + 0.5, only_candidate + 0.5
    effect = (better - worse) / rows
    half_width = _NORMAL.inv_cdf((1.0 + confidence) / 2.0) * math.sqrt((better + worse) - rows * effect**2) / rows
    return effect - half_width, effect + half_width


def difference_p(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """How often chance alone would set two equal shares at least this far apart, two-sided; 1.0 without both.

    Pearson's chi-squared test of two shares, one degree of freedom, without a correction.
    """
    share = (hits + other_hits) / (n + other_n) if n + other_n else 0.0
    if not n or not other_n or share in (0.0, 1.0):
        return 1.0
    variance = share * (1.0 - share) * (1.0 / n + 1.0 / other_n)
    return chi_squared_survival((hits / n - other_hits / other_n) ** 2 / variance, 1)


def split_p(candidates: int, planned: list[tuple[int, float]]) -> float:
    """How often chance alone would split rows this far from the plan: the sample-ratio mismatch test.

    Args:
        candidates: rows that the candidate got in all.
        planned: rows of both arms under each planned weight.

    >>> split_p(1000, [(10_000, 0.1)])
    1.0
    >>> split_p(1200, [(10_000, 0.1)]) < 0.001
    True
    """
    expected = sum(rows * weight for rows, weight in planned)
    variance = sum(rows * weight * (1.0 - weight) for rows, weight in planned)
    if variance == 0.0:
        return 1.0 if candidates == round(expected) else 0.0
    return chi_squared_survival((candidates - expected) ** 2 / variance, 1)


def needed_labels(
    accuracy: float, least_effect: float, *, weight: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Labels of the candidate after which a difference of `least_effect`, either way, would probably show.

    The stable version gets (1 - weight) / weight times as many. The harder direction counts, the one towards 1/2.

    Source: J. L. Fleiss, B. Levin and M. C. Paik, "Statistical Methods for Rates and Proportions", third edition,
    Wiley 2003, section 4.3, without the continuity correction.

    >>> needed_labels(0.6, 0.1, weight=0.5)
    388
    """
    if not 0.0 < weight < 1.0 or not 0.0 < least_effect < 1.0 or not 0.0 <= accuracy <= 1.0:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"no number of labels shows an effect of {least_effect} on {accuracy} at a weight of {weight}",
        )
    z_alpha, z_power = _NORMAL.inv_cdf(1.0 - alpha / 2.0), _NORMAL.inv_cdf(power)
    return max(
        math.ceil(_labels(accuracy, other, (1.0 - weight) / weight, z_alpha, z_power))
        for other in (accuracy - least_effect, accuracy + least_effect)
        if 0.0 <= other <= 1.0
    )


def _labels(stable: float, candidate: float, ratio: float, z_alpha: float, z_power: float) -> float:
    mean = (candidate + ratio * stable) / (1.0 + ratio)
    under_null = math.sqrt((1.0 + 1.0 / ratio) * mean * (1.0 - mean))
    under_effect = math.sqrt(candidate * (1.0 - candidate) + stable * (1.0 - stable) / ratio)
    return ((z_alpha * under_null + z_power * under_effect) / (candidate - stable)) ** 2
