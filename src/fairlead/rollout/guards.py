"""The guards of a rollout: each looks at one side of the evidence and says passed, failed or inconclusive."""

from __future__ import annotations

import math
from collections.abc import Callable

from fairlead.monitoring.eprocess import Share, TwoSample
from fairlead.monitoring.experiment import ArmLabels, paired_interval, split_p, stratified_interval
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.verdict import Finding, Guard, Verdict
from fairlead.significance.distributions import chi_squared_survival

__all__ = ["INVALID", "findings"]

INVALID = frozenset({Guard.SPLIT, Guard.LABEL_RATE})
"""Guards that find no harm but no comparison either: they stop a promotion, and roll nothing back."""

# Fewer rows of the candidate say nothing, not even that nothing is wrong.
_FEW = 50
# From here on labels say more about a shadow than agreement does.
_LABELS_SPEAK = 100


def findings(plan: Plan, evidence: Evidence) -> tuple[Finding, ...]:
    """What every guard of the plan's mode says now, the plainest harm first."""
    return tuple(guard(plan, evidence) for guard in (_SHADOW if plan.mode is Mode.SHADOW else _SPLIT))


def _load(_plan: Plan, evidence: Evidence) -> Finding:
    failure = evidence.trips.load_failure
    seen = evidence.candidate_last_us > 0
    return Finding(
        guard=Guard.LOAD,
        verdict=Verdict.FAILED if failure else _passed_if(seen),
        detail=failure or ("the candidate is loaded and answers" if seen else "the candidate has not answered yet"),
        figures={},
    )


def _non_finite(_plan: Plan, evidence: Evidence) -> Finding:
    trips = evidence.trips
    told = (
        f"answers with NaN or infinity: {trips.candidate_non_finite} of the candidate, "
        f"{trips.stable_non_finite} of the stable version"
    )
    return Finding(
        guard=Guard.NON_FINITE,
        verdict=Verdict.FAILED if trips.non_finite else _passed_if(evidence.candidate_last_us > 0),
        detail=trips.non_finite or told,
        figures={"candidate": trips.candidate_non_finite, "stable": trips.stable_non_finite},
    )


def _errors(plan: Plan, evidence: Evidence) -> Finding:
    if evidence.trips.all_errors:
        return Finding(guard=Guard.ERRORS, verdict=Verdict.FAILED, detail=evidence.trips.all_errors, figures={})
    return _two_sample(Guard.ERRORS, evidence.errors, plan, "answered without error")


def _accuracy(plan: Plan, evidence: Evidence) -> Finding:
    return _two_sample(Guard.ACCURACY, evidence.accuracy, plan, "right")


def _two_sample(guard: Guard, test: TwoSample, plan: Plan, good: str) -> Finding:
    failed = test.reached(plan.alpha)
    stable, candidate = _share(test.stable_good, test.stable_n), _share(test.candidate_good, test.candidate_n)
    told = (
        f"{candidate:.2%} of {test.candidate_n:,} rows of the candidate were {good}, "
        f"{stable:.2%} of {test.stable_n:,} of the stable version"
    )
    return Finding(
        guard=guard,
        verdict=Verdict.FAILED if failed else _passed_if(test.candidate_n >= _FEW),
        detail=told if test.candidate_n else "there are no blocks of rows of both arms yet",
        figures={
            "stable_n": test.stable_n,
            "stable_share": stable,
            "candidate_n": test.candidate_n,
            "candidate_share": candidate,
            "evidence": _evidence(test.peak),
            "bound": 1.0 / plan.alpha,
        },
    )


def _latency(plan: Plan, evidence: Evidence) -> Finding:
    test = evidence.latency
    failed = test.reached(plan.alpha)
    told = f"in {test.blocks:,} blocks of neighbouring rows the candidate was {'' if failed else 'not '}the slower"
    return Finding(
        guard=Guard.LATENCY,
        verdict=Verdict.FAILED if failed else _passed_if(test.blocks > 0),
        detail=f"{told}, {plan.max_latency_ratio:g} times the latency being accepted",
        figures={"blocks": test.blocks, "evidence": _evidence(test.peak), "bound": 1.0 / plan.alpha},
    )


def _classes(_plan: Plan, evidence: Evidence) -> Finding:
    watch = evidence.classes
    told = f"predicted classes were compared {watch.tests} times, the next time at {watch.next_test} predictions"
    return Finding(
        guard=Guard.CLASSES,
        verdict=Verdict.FAILED if watch.fault else _passed_if(watch.tests > 0),
        detail=watch.fault or told,
        figures=dict(watch.figures),
    )


def _drift(_plan: Plan, evidence: Evidence) -> Finding:
    return Finding(
        guard=Guard.DRIFT,
        verdict=evidence.drift or Verdict.INCONCLUSIVE,
        detail=evidence.drift_detail or "nothing was said about drift between the arms",
        figures={},
    )


def _split(plan: Plan, evidence: Evidence) -> Finding:
    periods = evidence.periods.items()
    candidates = sum(period.candidate[0] for _, period in periods)
    planned = [(period.stable[0] + period.candidate[0], weight) for weight, period in periods]
    rows, expected = sum(n for n, _ in planned), sum(n * weight for n, weight in planned)
    p = split_p(candidates, planned)
    return Finding(
        guard=Guard.SPLIT,
        verdict=Verdict.FAILED if p < plan.invalid_p else _passed_if(rows > 0),
        detail=f"the candidate got {candidates:,} of {rows:,} rows where the weights give {expected:,.0f}",
        figures={"rows": rows, "candidate_rows": candidates, "expected": expected, "p": p},
    )


def _label_rate(plan: Plan, evidence: Evidence) -> Finding:
    """Arms are compared within each weight, since older rows have had more time to get their labels."""
    excess = variance = 0.0
    for period in evidence.periods.values():
        stable, candidate = period.arms()
        rows, labels = stable.answered + candidate.answered, stable.labelled + candidate.labelled
        if stable.answered and candidate.answered:
            excess += candidate.labelled - candidate.answered * labels / rows
            arms = candidate.answered * stable.answered / rows**2
            variance += arms * labels * (rows - labels) / max(rows - 1, 1)
    p = chi_squared_survival(excess**2 / variance, 1) if variance else 1.0
    return Finding(
        guard=Guard.LABEL_RATE,
        verdict=Verdict.FAILED if p < plan.invalid_p else _passed_if(variance > 0),
        detail=f"the candidate got {excess:+,.0f} labels beside its share of rows",
        figures={"excess_labels": excess, "p": p},
    )


def _margin(plan: Plan, evidence: Evidence) -> Finding:
    judged = evidence.judged
    if judged is None:
        return Finding(
            guard=Guard.MARGIN,
            verdict=Verdict.INCONCLUSIVE,
            detail=f"{evidence.candidate_labels:,} labels of the candidate so far, which are not judged yet",
            figures={"candidate_labels": evidence.candidate_labels},
        )
    low, high = _interval(plan, judged)
    verdict = Verdict.INCONCLUSIVE
    if low > -plan.margin or high < -plan.margin:
        verdict = Verdict.PASSED if low > -plan.margin else Verdict.FAILED
    return Finding(
        guard=Guard.MARGIN,
        verdict=verdict,
        detail=f"the candidate's accuracy is {low * 100:+.2f} to {high * 100:+.2f} points off the stable version's, "
        f"{-plan.margin * 100:+.2f} being accepted",
        figures={"low": low, "high": high, "margin": plan.margin},
    )


def _interval(plan: Plan, judged: list[list[int]]) -> tuple[float, float]:
    """Two-sided at a confidence that leaves `1 - plan.confidence` below."""
    two_sided = 2.0 * plan.confidence - 1.0
    if plan.mode is Mode.SHADOW:
        labelled, only_stable, only_candidate = judged[0]
        return paired_interval(only_stable, only_candidate, labelled, two_sided)
    return stratified_interval([(_labels(row[:3]), _labels(row[3:])) for row in judged], two_sided)


def _labels(counts: list[int]) -> ArmLabels:
    _, labelled, right = counts
    return ArmLabels(answered=labelled, labelled=labelled, right=right)


def _pair_errors(plan: Plan, evidence: Evidence) -> Finding:
    if evidence.trips.all_errors:
        return Finding(guard=Guard.ERRORS, verdict=Verdict.FAILED, detail=evidence.trips.all_errors, figures={})
    return _paired(Guard.ERRORS, evidence.pair_errors, plan, evidence.pairs.answered, "the candidate alone failed")


def _pair_latency(plan: Plan, evidence: Evidence) -> Finding:
    told = f"the candidate took more than {plan.max_latency_ratio:g} times as long"
    return _paired(Guard.LATENCY, evidence.pair_latency, plan, evidence.pairs.answered, told)


def _pair_accuracy(plan: Plan, evidence: Evidence) -> Finding:
    told = "the stable version alone was right"
    return _paired(Guard.ACCURACY, evidence.pair_accuracy, plan, evidence.pairs.labelled, told)


def _paired(guard: Guard, test: Share, plan: Plan, rows: int, hit: str) -> Finding:
    return Finding(
        guard=guard,
        verdict=Verdict.FAILED if test.reached(plan.alpha) else _passed_if(rows >= _FEW),
        detail=f"on {test.hits:,} of {test.n:,} rows that tell the versions apart {hit}, of {rows:,} rows in all",
        figures={
            "rows": rows,
            "apart": test.n,
            "against_candidate": test.hits,
            "evidence": _evidence(test.peak),
            "bound": 1.0 / plan.alpha,
        },
    )


def _agreement(plan: Plan, evidence: Evidence) -> Finding:
    test, labelled = evidence.disagreement, evidence.pairs.labelled
    speaks = labelled < _LABELS_SPEAK
    told = (
        f"{test.n - test.hits:,} of {test.n:,} answers are the stable version's, {plan.min_agreement:.0%} being asked"
    )
    return Finding(
        guard=Guard.AGREEMENT,
        verdict=Verdict.FAILED if speaks and test.reached(plan.alpha) else _passed_if(test.n >= _FEW),
        detail=told if speaks else f"{told}; {labelled:,} labels say more, and decide",
        figures={"rows": test.n, "disagreed": test.hits, "evidence": _evidence(test.peak), "bound": 1.0 / plan.alpha},
    )


def _passed_if(has_data: bool) -> Verdict:
    return Verdict.PASSED if has_data else Verdict.INCONCLUSIVE


def _share(hits: int, n: int) -> float:
    return hits / n if n else 0.0


def _evidence(log_e: float) -> float:
    """Finite, since no JSON reader accepts infinity."""
    return math.exp(min(log_e, 700.0))


_COMMON: tuple[Callable[[Plan, Evidence], Finding], ...] = (_load, _non_finite)
_SPLIT = (*_COMMON, _errors, _latency, _classes, _accuracy, _drift, _split, _label_rate, _margin)
_SHADOW = (*_COMMON, _pair_errors, _pair_latency, _classes, _pair_accuracy, _drift, _agreement, _margin)
