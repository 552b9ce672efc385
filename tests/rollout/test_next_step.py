"""What comes next in a rollout, and what never does."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rollout.conftest import CANARY, SHADOW, begun, folded, pairs, restored, traffic

from benchmarks.simulations.rollout_rules import Table
from benchmarks.simulations.rollout_streams import Arm
from fairlead.rollout.action import Action, Hold, Promote, RollBack, StepTo
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.next_step import next_step
from fairlead.rollout.observation import Labels, LoadFailure
from fairlead.rollout.plan import Mode, OnTimeout, Plan
from fairlead.rollout.state import State
from fairlead.rollout.verdict import Guard, Verdict

AB = Plan(mode=Mode.AB, weights=(0.5,), min_labels=500, min_requests=50, timeout_s=3600.0)
LAST = State(step=1, weight=0.5, started_us=0, step_started_us=200_000_000)
END_US = 200_000_000
"""When 2,000 requests are over."""


def seen(plan: Plan, tables: Sequence[Table], now_us: int = END_US) -> Action | None:
    """What comes next in the first step, after such traffic."""
    return next_step(plan, begun(plan), folded(plan, tables), now_us)


def last_step(plan: Plan, **world: Any) -> Action | None:
    """What comes next in a canary's last step, both arms having been alike in the first."""
    evidence = folded(plan, (*traffic(1), *traffic(2, 2000, END_US, weight=0.5, **world)))
    return next_step(plan, LAST, evidence, 2 * END_US)


def test_a_step_that_went_well_is_followed_by_the_next() -> None:
    """After its time and its traffic, with no guard failed, the candidate gets the next weight."""
    action = seen(CANARY, traffic())

    assert isinstance(action, StepTo)
    assert action.weight == 0.5


def test_the_last_step_that_went_well_is_followed_by_the_promotion() -> None:
    """There is no further weight: the candidate becomes the stable version."""
    assert isinstance(last_step(CANARY), Promote)


@pytest.mark.parametrize("now_us", [0, 1_000_000, 59_999_999])
def test_before_the_time_is_over_nothing_happens(now_us: int) -> None:
    """Within the step's time there is nothing to do, and nothing to tell."""
    assert seen(CANARY, traffic(requests=590), now_us) is None


def test_too_little_traffic_holds_and_says_how_little() -> None:
    """With fewer requests than asked it waits."""
    action = seen(replace(CANARY, min_requests=5000), traffic())

    assert isinstance(action, Hold)
    assert "of 5,000 requests" in action.reason


@pytest.mark.parametrize("now_us", [1_000_000, END_US, 10 * END_US])
def test_harm_rolls_back_at_any_moment(now_us: int) -> None:
    """Before the time is over, and long after: the guard that found it is named."""
    action = seen(CANARY, traffic(candidate=Arm(error=1.0)), now_us)

    assert isinstance(action, RollBack)
    assert action.guard is Guard.ERRORS


def test_a_candidate_that_does_not_load_is_rolled_back() -> None:
    """It needs no request for that."""
    evidence = Evidence.begin(CANARY, started_us=0)
    evidence.add(LoadFailure(at_us=1, detail="no such operator"))

    assert next_step(CANARY, begun(CANARY), evidence, 1) == RollBack(reason="load: no such operator", guard=Guard.LOAD)


def test_drift_between_the_arms_rolls_back() -> None:
    """What the detector says counts, as the latest word."""
    evidence = folded(CANARY, traffic())
    evidence.note_drift(Verdict.FAILED, "brightness differs by 2 sd")
    action = next_step(CANARY, begun(CANARY), evidence, END_US)
    assert isinstance(action, RollBack)
    assert action.guard is Guard.DRIFT

    evidence.note_drift(Verdict.PASSED, "nothing differs")

    assert isinstance(next_step(CANARY, begun(CANARY), evidence, END_US), StepTo)


def test_labels_are_waited_for_when_the_plan_asks_for_them() -> None:
    """Only the last step needs them: before, the weight rises without."""
    plan = replace(CANARY, min_labels=1500)

    assert isinstance(seen(plan, traffic()), StepTo)
    action = last_step(plan)
    assert isinstance(action, Hold)
    assert action.guard is Guard.MARGIN


@pytest.mark.parametrize(("accuracy", "kind"), [(0.95, Promote), (0.6, RollBack), (0.88, Hold)])
def test_an_ab_is_decided_at_its_horizon(accuracy: float, kind: type[Action]) -> None:
    """Better: promoted. Worse: rolled back. Not sure that the margin is kept: the timeout will decide."""
    assert isinstance(seen(AB, traffic(weight=0.5, candidate=Arm(accuracy=accuracy))), kind)


def test_an_ab_says_nothing_before_its_horizon() -> None:
    """However good the candidate looks."""
    early = traffic(requests=800, weight=0.5, candidate=Arm(accuracy=1.0))

    assert seen(AB, early, now_us=80_000_000) is None


def test_an_ab_by_time_is_decided_by_the_labels_that_came() -> None:
    """At the horizon in seconds, without labels, nothing can be said."""
    plan = Plan(mode=Mode.AB, weights=(0.5,), horizon_s=190.0, margin=0.05, timeout_s=3600.0)
    answers, labels = traffic(weight=0.5)

    assert isinstance(seen(plan, (labels, answers)), Promote)
    assert isinstance(seen(plan, (answers,)), Hold)
    assert seen(plan, (answers[:1800],), 180_000_000) is None


def test_a_shadow_that_went_well_is_promoted() -> None:
    """With agreement alone, or with the labels that the plan asks for."""
    answers, labels = pairs(rows=800)

    assert isinstance(seen(SHADOW, (answers,), 80_000_000), Promote)
    assert isinstance(seen(replace(SHADOW, min_labels=500), (answers, labels), 80_000_000), Promote)
    assert isinstance(seen(replace(SHADOW, min_labels=500), (answers,), 80_000_000), Hold)


def test_a_shadow_that_loses_accuracy_is_rolled_back() -> None:
    """The paired test on the same requests finds it."""
    action = seen(SHADOW, pairs(worse=0.2), 40_000_000)

    assert isinstance(action, RollBack)
    assert action.guard is Guard.ACCURACY


@pytest.mark.parametrize(
    ("policy", "kind"),
    [(OnTimeout.ROLL_BACK, RollBack), (OnTimeout.HOLD_FOR_PERSON, Hold), (OnTimeout.PROMOTE, Promote)],
)
def test_when_the_time_is_up_the_plan_decides(policy: OnTimeout, kind: type[Action]) -> None:
    """Too little traffic to the end: taken back, left to a person, or promoted, as the plan has it."""
    plan = replace(CANARY, min_requests=5000, timeout_s=150.0, on_timeout=policy)
    action = seen(plan, traffic())

    assert isinstance(action, kind)
    assert "after 150 s" in action.reason
    assert getattr(action, "needs_person", True)


def test_a_weight_of_1_is_compared_by_what_came_before() -> None:
    """With all traffic on the candidate it is promoted when an earlier step had both arms, and held when none had."""
    plan = replace(CANARY, weights=(0.1, 1.0))
    later = traffic(2, 2000, END_US, weight=1.0)
    state = State(step=1, weight=1.0, started_us=0, step_started_us=END_US)

    assert isinstance(next_step(plan, state, folded(plan, (*traffic(1), *later)), 2 * END_US), Promote)
    assert isinstance(next_step(plan, state, folded(plan, later), 2 * END_US), Hold)


def unfit(kind: str, plan: Plan, seed: int) -> tuple[Sequence[Table], int]:
    """Traffic that nothing may be concluded from, and the time at which it is looked at."""
    weight = plan.weight(0)
    if plan.mode is Mode.SHADOW:
        tables: Sequence[Table] = pairs(seed, 2000)
    else:
        real = {"no stable": 1.0, "no candidate": 0.0, "split": min(1.0, 2.0 * weight)}.get(kind)
        tables = traffic(seed, 2000, weight=weight, real_weight=real)
    stale_us = round(plan.stale_after_s * 1e6)
    return {
        "none": ((), END_US),
        "late": (tables, END_US + stale_us + 1_000_001),
        "future": (tables, -stale_us - 1_000_001),
        "unlabelled": ((tables[0], _one_arm(tables[1])), END_US),
    }.get(kind, (tables, END_US))


def _one_arm(labels: Table) -> Table:
    if not isinstance(labels, Labels):
        return labels[:0]
    kept = ~labels.candidate
    return Labels(
        weight=labels.weight, at_us=labels.at_us[kept], candidate=labels.candidate[kept], right=labels.right[kept]
    )


KINDS = ("none", "late", "future", "no stable", "no candidate", "split", "unlabelled")


@settings(deadline=None, max_examples=150)
@given(
    kind=st.sampled_from(KINDS),
    plan=st.sampled_from([CANARY, replace(CANARY, weights=(0.4,)), replace(CANARY, weights=(0.2, 1.0)), AB, SHADOW]),
    policy=st.sampled_from(list(OnTimeout)),
    timeout_s=st.sampled_from([150.0, 700.0, 3600.0, 1e7]),
    later_s=st.floats(0.0, 1e6),
    seed=st.integers(0, 50),
)
def test_evidence_that_is_not_fit_never_goes_forward(
    kind: str, plan: Plan, policy: OnTimeout, timeout_s: float, later_s: float, seed: int
) -> None:
    """No data, stale data, data from the future, an empty arm, a split or labels that are off: never forward."""
    if plan.mode is Mode.SHADOW and kind not in ("none", "late", "future"):
        return
    plan = replace(plan, on_timeout=policy, timeout_s=timeout_s)
    tables, now_us = unfit(kind, plan, seed)
    started_us = now_us - END_US if kind == "future" else 0
    state = replace(begun(plan), started_us=started_us, step_started_us=started_us)
    evidence = folded(plan, tables)
    for look_us in (now_us, now_us + round(later_s * 1e6) * (kind in ("none", "late"))):
        assert not isinstance(next_step(plan, state, evidence, look_us), StepTo | Promote)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1000),
    candidate=st.sampled_from([Arm(), Arm(accuracy=0.7), Arm(error=0.2), Arm(slowness=5.0), Arm(one_class=0.9)]),
    looks=st.lists(st.integers(1, 200), min_size=1, max_size=8, unique=True),
)
def test_harm_that_was_found_stays_found(seed: int, candidate: Arm, looks: list[int]) -> None:
    """Once a look says to roll back, every later one does: that nobody looked just then loses nothing."""
    tables = traffic(seed, 2000, weight=0.3, candidate=candidate)
    plan = replace(CANARY, weights=(0.3,))
    rolled_back = [
        isinstance(seen(plan, [table[: 10 * look] for table in tables], 1_000_000 * look), RollBack)
        for look in sorted(looks)
    ]

    assert rolled_back == sorted(rolled_back)


@pytest.mark.parametrize("candidate", [Arm(), Arm(accuracy=0.75), Arm(error=0.1), Arm(slowness=4.0)])
def test_a_restart_at_any_piece_changes_nothing(candidate: Arm) -> None:
    """A monitor killed after any piece says from there on what the one that lived on says."""
    plan = replace(CANARY, weights=(0.3,))
    tables = traffic(9, 1000, weight=0.3, candidate=candidate)
    pieces = [table[start : start + 100] for start in range(0, 1000, 100) for table in tables]
    lived, kept, said = Evidence.begin(plan, started_us=0), [], []
    for number, piece in enumerate(pieces):
        lived.add(piece)
        kept.append(restored(plan, lived))
        said.append(next_step(plan, begun(plan), lived, 5_000_000 * (number + 1)))

    for cut in range(len(pieces) - 1):
        for number in range(cut + 1, len(pieces)):
            kept[cut].add(pieces[number])
            assert next_step(plan, begun(plan), kept[cut], 5_000_000 * (number + 1)) == said[number]


def test_asking_changes_nothing() -> None:
    """The same question has the same answer, and the evidence is what it was."""
    evidence = folded(CANARY, traffic())
    before = evidence.to_json()
    answers = {repr(next_step(CANARY, begun(CANARY), evidence, END_US)) for _ in range(3)}

    assert len(answers) == 1
    assert evidence.to_json() == before


def test_each_finding_is_in_the_reason() -> None:
    """A promotion names what passed, a hold what stands in the way."""
    action = last_step(CANARY)
    assert isinstance(action, Promote)
    assert "errors, latency, class shares, accuracy, split, label rate" in action.reason

    off = seen(CANARY, traffic(real_weight=0.3))
    assert isinstance(off, Hold)
    assert off.guard is Guard.SPLIT
    assert np.char.find(off.reason, "where the weights give 200") > 0
