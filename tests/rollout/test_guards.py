"""What each guard says of which evidence."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.rollout.conftest import CANARY, SHADOW, folded, pairs, traffic

from benchmarks.simulations.rollout_rules import Table
from benchmarks.simulations.rollout_streams import Arm
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.guards import findings
from fairlead.rollout.observation import Labels, LoadFailure
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.verdict import Finding, Guard, Verdict

NEVER = np.zeros(400, np.bool_)


def said(plan: Plan, tables: Sequence[Table]) -> dict[Guard, Finding]:
    """By guard, what it says of such traffic."""
    return {finding.guard: finding for finding in findings(plan, folded(plan, tables))}


@pytest.mark.parametrize("plan", [CANARY, SHADOW])
def test_without_data_no_guard_passes(plan: Plan) -> None:
    """No data is never a pass, and no failure either."""
    assert {finding.verdict for finding in said(plan, ()).values()} == {Verdict.INCONCLUSIVE}


@pytest.mark.parametrize(("plan", "tables"), [(CANARY, traffic(requests=6000)), (SHADOW, pairs())])
def test_equal_versions_fail_no_guard(plan: Plan, tables: Sequence[Table]) -> None:
    """All pass but the two that nobody asked: drift, and the accuracy for promotion."""
    verdicts = {guard: finding.verdict for guard, finding in said(plan, tables).items()}

    unasked = {Guard.DRIFT, Guard.MARGIN}
    assert {guard for guard, verdict in verdicts.items() if verdict is not Verdict.PASSED} == unasked


@pytest.mark.parametrize(
    ("guard", "fault"),
    [
        (Guard.NON_FINITE, {"non_finite": 0.5}),
        (Guard.ERRORS, {"error": 1.0}),
        (Guard.ERRORS, {"error": 0.1}),
        (Guard.LATENCY, {"slowness": 3.0}),
        (Guard.CLASSES, {"one_class": 0.9}),
        (Guard.ACCURACY, {"accuracy": 0.6}),
    ],
)
def test_each_harm_fails_its_guard(guard: Guard, fault: dict[str, float]) -> None:
    """In a canary the guard named for the harm fails, in a sentence, and its numbers are JSON."""
    finding = said(CANARY, traffic(requests=6000, candidate=Arm(**fault)))[guard]

    assert finding.verdict is Verdict.FAILED
    assert finding.detail
    assert json.loads(json.dumps(finding.to_json(), allow_nan=False))["verdict"] == "failed"


@pytest.mark.parametrize(
    ("guard", "fault"),
    [
        (Guard.NON_FINITE, {"candidate_non_finite": ~NEVER}),
        (Guard.ERRORS, {"candidate_error": ~NEVER}),
        (Guard.ERRORS, {"candidate_error": np.arange(400) % 20 == 0}),
        (Guard.LATENCY, {"candidate_latency_us": np.full(400, 10_000)}),
        (Guard.CLASSES, {"candidate_predicted": np.zeros(400, np.int64)}),
        (Guard.ACCURACY, {"worse": 0.15}),
    ],
)
def test_each_harm_fails_its_guard_in_a_shadow(guard: Guard, fault: dict[str, Any]) -> None:
    """The same on pairs."""
    assert said(SHADOW, pairs(**fault))[guard].verdict is Verdict.FAILED


def test_disagreement_fails_only_until_labels_speak() -> None:
    """Without labels a shadow that disagrees on a quarter fails; with labels, who is right decides."""
    answers, labels = pairs(agrees=np.arange(400) % 4 != 0)

    assert said(SHADOW, (answers,))[Guard.AGREEMENT].verdict is Verdict.FAILED
    assert said(SHADOW, (labels, answers))[Guard.AGREEMENT].verdict is Verdict.PASSED


def test_a_split_that_is_off_fails() -> None:
    """Twice the planned share is no comparison."""
    assert said(CANARY, traffic(real_weight=0.2))[Guard.SPLIT].verdict is Verdict.FAILED


def test_labels_that_come_for_one_arm_fail() -> None:
    """Half as many labels per row for one arm are no comparison."""
    answers, labels = traffic()
    assert isinstance(labels, Labels)
    kept = ~labels.candidate | (np.arange(len(labels)) % 2 == 0)
    fewer = Labels(weight=0.1, at_us=labels.at_us[kept], candidate=labels.candidate[kept], right=labels.right[kept])

    assert said(CANARY, (answers, fewer))[Guard.LABEL_RATE].verdict is Verdict.FAILED


def test_labels_that_are_late_for_both_arms_are_no_fault() -> None:
    """After the weight rose the candidate's rows are younger on average, and fewer of them have a label yet."""
    early, late = traffic(1, 5000), traffic(2, 5000, 500_000_000, weight=0.5)

    assert said(CANARY, (*early, late[0], late[1][:500]))[Guard.LABEL_RATE].verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [(0.9, Verdict.PASSED), (0.7, Verdict.FAILED), (0.85, Verdict.INCONCLUSIVE)],
)
def test_the_margin_is_judged_once_by_an_interval(accuracy: float, verdict: Verdict) -> None:
    """Passed above the margin, failed below, inconclusive when the interval holds it."""
    plan = Plan(mode=Mode.CANARY, weights=(0.5,), min_labels=2000, margin=0.05)
    tables = traffic(1, 5000, weight=0.5, candidate=Arm(accuracy=accuracy))

    assert said(plan, tables)[Guard.MARGIN].verdict is verdict


def test_a_shadow_has_its_margin_judged_on_pairs() -> None:
    """Equal on 200 labelled pairs is within five points, a fifth lost is not."""
    plan = Plan(mode=Mode.SHADOW, min_labels=200, margin=0.05)

    assert said(plan, pairs())[Guard.MARGIN].verdict is Verdict.PASSED
    assert said(plan, pairs(worse=0.2))[Guard.MARGIN].verdict is Verdict.FAILED


def test_a_load_failure_and_drift_are_taken_at_their_word() -> None:
    """Both come from elsewhere and fail as they are told."""
    evidence = Evidence.begin(CANARY, started_us=0)
    evidence.add(LoadFailure(at_us=1, detail="no such operator"))
    evidence.note_drift(Verdict.FAILED, "brightness differs by 2 sd")
    failed = {
        finding.guard: finding.detail for finding in findings(CANARY, evidence) if finding.verdict is Verdict.FAILED
    }

    assert failed == {Guard.LOAD: "no such operator", Guard.DRIFT: "brightness differs by 2 sd"}
