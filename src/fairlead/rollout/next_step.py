"""What comes next in a rollout: the one place that decides."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.rollout.action import Action, Hold, Promote, RollBack, StepTo
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.guards import INVALID, findings
from fairlead.rollout.plan import Mode, OnTimeout, Plan
from fairlead.rollout.state import State
from fairlead.rollout.verdict import Finding, Guard, Verdict

__all__ = ["next_step"]


def next_step(plan: Plan, state: State, evidence: Evidence, now_us: int) -> Action | None:
    """Decide from the plan, where the rollout stands, what it has shown, and the time; None to go on as it is.

    Harm found by a guard rolls back, at any moment. Everything else waits for the step's time and traffic. An arm
    that is empty or silent, a split that is off, labels that come for one arm rather than the other: none of them
    is ever followed by a larger weight or a promotion, whatever the plan says of its timeout. When the time is up
    the plan's `on_timeout` decides.

    The answer depends on nothing else, and asking changes nothing: it may be asked as often as one likes.

    >>> plan = Plan(mode=Mode.CANARY, weights=(0.1, 0.5))
    >>> state, evidence = State.begin(plan, now_us=0), Evidence.begin(plan, started_us=0)
    >>> next_step(plan, state, evidence, now_us=60_000_000) is None
    True
    >>> next_step(plan, state, evidence, now_us=3_600_000_000)
    Hold(reason='there are no answers of the stable version at a weight of 0.1', guard=None, needs_person=False)
    >>> next_step(plan, state, evidence, now_us=604_800_000_000).reason
    'after 604800 s: there are no answers of the stable version at a weight of 0.1'
    """
    found = findings(plan, evidence)
    harm = next(
        (finding for finding in found if finding.verdict is Verdict.FAILED and finding.guard not in INVALID), None
    )
    if harm is not None:
        return RollBack(reason=f"{harm.guard}: {harm.detail}", guard=harm.guard)
    obstacle = (
        _invalid(found) or _missing(plan, state, evidence, now_us) or _awaited(plan, state, evidence, found, now_us)
    )
    if obstacle is None:
        return _forward(plan, state, found)
    if _seconds(state.started_us, now_us) >= plan.timeout_s:
        return _timed_out(plan, obstacle)
    return Hold(reason=obstacle.reason, guard=obstacle.guard) if obstacle.is_told else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Obstacle:
    """What stands between a rollout and its next step.

    Attributes:
        reason: one sentence.
        guard: who says so; None for time and traffic.
        is_told: somebody should know; waiting for a step's time is nothing to tell.
        forbids: nothing, not even a timeout, may promote over it.
    """

    reason: str
    guard: Guard | None = None
    is_told: bool = True
    forbids: bool = False


def _invalid(found: tuple[Finding, ...]) -> _Obstacle | None:
    """The two arms cannot be compared."""
    for finding in found:
        if finding.guard in INVALID and finding.verdict is Verdict.FAILED:
            return _Obstacle(reason=f"{finding.guard}: {finding.detail}", guard=finding.guard, forbids=True)
    return None


def _missing(plan: Plan, state: State, evidence: Evidence, now_us: int) -> _Obstacle | None:
    """An arm gave no answers under this weight, or none lately; told once the step's time is over."""
    is_told = _step_is_over(plan, state, evidence, now_us)
    stable_rows, candidate_rows = evidence.answered(state.weight)
    if state.weight == 1.0:  # there is no stable arm now: it must have been compared with under an earlier weight
        stable_rows = sum(period.stable[0] for period in evidence.periods.values())
    arms = (
        ("stable version", stable_rows, evidence.stable_last_us, state.weight < 1.0),
        ("candidate", candidate_rows, evidence.candidate_last_us, True),
    )
    for name, rows, last_us, must_be_fresh in arms:
        if not rows:
            reason = f"there are no answers of the {name} at a weight of {state.weight:g}"
            return _Obstacle(reason=reason, is_told=is_told, forbids=True)
        # A row from the future is no fresher than one from the past: one of two clocks is wrong.
        age_s = abs(_seconds(last_us, now_us))
        if must_be_fresh and age_s > plan.stale_after_s:
            reason = f"the latest answer of the {name} is {age_s:,.0f} s away, {plan.stale_after_s:g} s being accepted"
            return _Obstacle(reason=reason, is_told=is_told, forbids=True)
    return None


def _awaited(plan: Plan, state: State, evidence: Evidence, found: tuple[Finding, ...], now_us: int) -> _Obstacle | None:
    """The step's time, its traffic, and before a promotion the labels."""
    if not _step_is_over(plan, state, evidence, now_us):
        return _Obstacle(reason="the step's time is not over", is_told=False)
    _, rows = evidence.answered(state.weight)
    if rows < plan.min_requests:
        return _Obstacle(reason=f"{rows:,} of {plan.min_requests:,} requests answered by the candidate at this weight")
    asks_for_labels = plan.min_labels > 0 or plan.mode is Mode.AB
    if state.step + 1 < plan.steps or not asks_for_labels:
        return None
    margin = next(finding for finding in found if finding.guard is Guard.MARGIN)
    if margin.verdict is Verdict.PASSED:
        return None
    return _Obstacle(reason=f"{margin.guard}: {margin.detail}", guard=margin.guard)


def _step_is_over(plan: Plan, state: State, evidence: Evidence, now_us: int) -> bool:
    """A step lasts its bake time; an A/B until its horizon, which the evidence marks."""
    if plan.mode is Mode.AB:
        return evidence.judged is not None or 0.0 < plan.horizon_s <= _seconds(state.started_us, now_us)
    return _seconds(state.step_started_us, now_us) >= plan.bake_s


def _forward(plan: Plan, state: State, found: tuple[Finding, ...]) -> Action:
    passed = ", ".join(str(finding.guard) for finding in found if finding.verdict is Verdict.PASSED)
    reason = f"step {state.step + 1} of {plan.steps} is over; no guard failed; passed: {passed}"
    if state.step + 1 < plan.steps:
        return StepTo(weight=plan.weight(state.step + 1), reason=reason)
    return Promote(reason=reason)


def _timed_out(plan: Plan, obstacle: _Obstacle) -> Action:
    reason = f"after {plan.timeout_s:g} s: {obstacle.reason}"
    if plan.on_timeout is OnTimeout.ROLL_BACK:
        return RollBack(reason=reason, guard=obstacle.guard)
    if plan.on_timeout is OnTimeout.PROMOTE and not obstacle.forbids:
        return Promote(reason=f"{reason}; the plan promotes what nothing spoke against")
    return Hold(reason=reason, guard=obstacle.guard, needs_person=True)


def _seconds(start_us: int, end_us: int) -> float:
    return (end_us - start_us) / 1e6
