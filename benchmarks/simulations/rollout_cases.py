"""The made-up rollouts: equal arms, losses, faults, whole rollouts, evidence that is not fit, and restarts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.simulations.rollout_rules import RULES, Table, product
from benchmarks.simulations.rollout_streams import GAP_US, Arm, World, pair_labels, stream
from fairlead.monitoring.quality_trigger import QualityTrigger
from fairlead.rollout.action import Action, Promote, RollBack, StepTo
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.next_step import next_step
from fairlead.rollout.observation import Labels
from fairlead.rollout.plan import Mode, OnTimeout, Plan
from fairlead.rollout.state import State

__all__ = [
    "ACCURACIES",
    "CATCHES",
    "FIT",
    "LED",
    "LOSSES",
    "STABLE",
    "UNFIT",
    "WEIGHTS",
    "Catch",
    "Loss",
    "catch",
    "cuts",
    "first_action",
    "forward_steps",
    "led",
    "loss",
    "lost_triggers",
    "quiet_triggers",
    "same_arms",
]

_SEED = 20_261
ACCURACIES, WEIGHTS = (0.6, 0.9, 0.99), (0.5, 0.1, 0.01)
_REQUESTS, _EVERY = 20_000, 10
_ERROR = 0.001
STABLE = 0.9


def _plan(weight: float) -> Plan:
    """One step that outlasts the stream, and no tolerance: the strictest that may be asked of a canary."""
    return Plan(mode=Mode.CANARY, weights=(weight,), bake_s=_REQUESTS * GAP_US / 1e6, max_latency_ratio=1.0)


def same_arms(accuracy: float, weight: float, runs: int, stalls: float = 0.0) -> dict[str, int]:
    """S1: how many of so many canaries that are as good as the stable version each rule rolls back."""
    arm = Arm(accuracy=accuracy, error=_ERROR)
    world, plan = World(stable=arm, candidate=arm, weight=weight, stalls=stalls), _plan(weight)
    rolled_back = dict.fromkeys(RULES, 0)
    for run in range(runs):
        tables = stream(_rng(1, round(1000 * accuracy), round(1000 * weight), run), world, _REQUESTS)
        for name, rule in RULES.items():
            rolled_back[name] += rule(plan, tables, _EVERY) is not None
    return rolled_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A fall of accuracy, and the labels of the candidate within which 95 % of runs must see it; None for paired."""

    stable: float
    candidate: float
    weight: float | None
    within: int

    @property
    def title(self) -> str:
        how = "paired" if self.weight is None else f"{self.weight:.0%}"
        return f"accuracy {self.stable:.2f} to {self.candidate:.2f}, {how}"


LOSSES = (
    Loss(stable=0.9, candidate=0.8, weight=0.1, within=400),
    Loss(stable=0.9, candidate=0.8, weight=0.5, within=720),
    Loss(stable=0.9, candidate=0.8, weight=None, within=290),
    Loss(stable=0.9, candidate=0.5, weight=0.1, within=40),
    Loss(stable=0.9, candidate=0.5, weight=0.5, within=75),
    Loss(stable=0.9, candidate=0.85, weight=0.1, within=1500),
    Loss(stable=0.9, candidate=0.85, weight=None, within=800),
)


def loss(case: Loss, runs: int) -> list[float]:
    """S2: labels of the candidate that each run took to be rolled back, by labels alone; infinity for never."""
    return [_labels_needed(case, _rng(2, LOSSES.index(case), run)) for run in range(runs)]


def _labels_needed(case: Loss, rng: np.random.Generator) -> float:
    rows = 3 * case.within
    if case.weight is None:
        # Beside what is lost, one row in a hundred changes each way.
        table = pair_labels(rng, case.stable - case.candidate + 0.01, 0.01, rows)
        found = product(Plan(mode=Mode.SHADOW), (table,), _EVERY)
        return np.inf if found is None else found
    world = World(stable=Arm(accuracy=case.stable), candidate=Arm(accuracy=case.candidate), weight=case.weight)
    _, labels = stream(rng, world, round(rows / case.weight))
    found = product(_plan(case.weight), (labels,), _EVERY)
    return np.inf if found is None else float(labels.candidate[:found].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """A fault that needs no label: the candidate's requests within which it must be seen, in what share of runs."""

    title: str
    world: World
    within: int
    share: float | None = 0.95


def _fault(**qualities: float) -> World:
    return World(candidate=Arm(**qualities))


CATCHES = (
    Catch(title="10 times slower", world=_fault(slowness=10.0), within=10),
    Catch(title="errors 0 to 5 %", world=_fault(error=0.05), within=160),
    Catch(
        title="errors 0.05 % to 5 %",
        world=World(stable=Arm(error=0.0005), candidate=Arm(error=0.05)),
        within=160,
    ),
    Catch(
        title="errors 0.1 % to 5 %",
        world=World(stable=Arm(error=0.001), candidate=Arm(error=0.05)),
        within=160,
        share=None,
    ),
    Catch(title="nothing but errors", world=_fault(error=1.0), within=5, share=0.99),
    Catch(title="nothing but NaN", world=_fault(non_finite=1.0), within=10, share=0.99),
    *(
        Catch(
            title=f"97 % one class, true share {top:.0%}",
            world=World(candidate=Arm(one_class=(0.97 - top) / (1.0 - top), accuracy=1.0), top_class=top),
            within=200,
        )
        for top in (0.1, 0.3, 0.6, 0.8)
    ),
)


def catch(case: Catch, runs: int) -> list[float]:
    """S3: requests of the candidate that each run took to be rolled back, by answers alone; infinity for never."""
    needed = []
    for run in range(runs):
        answers, _ = stream(_rng(3, CATCHES.index(case), run), case.world, 60 * case.within)
        found = product(_plan(case.world.weight), (answers,), 1)
        needed.append(np.inf if found is None else float(answers.candidate[:found].sum()))
    return needed


_CANARY = Plan(
    mode=Mode.CANARY,
    weights=(0.05, 0.2, 0.5),
    bake_s=60.0,
    min_requests=200,
    min_labels=1000,
    timeout_s=3600.0,
    on_timeout=OnTimeout.HOLD_FOR_PERSON,
)
_AB = Plan(mode=Mode.AB, weights=(0.5,), min_labels=1500, timeout_s=3600.0, on_timeout=OnTimeout.HOLD_FOR_PERSON)
LED = {"canary": _CANARY, "A/B": _AB}
_STEP_REQUESTS = 100


def first_action(plan: Plan, world: World, rng: np.random.Generator) -> tuple[Action | None, float]:
    """Lead one rollout to its end, step by step: the last action, and the seconds it took."""
    state, evidence, now_us = State.begin(plan, now_us=0), Evidence.begin(plan, started_us=0), 0
    while now_us < 1.1e6 * plan.timeout_s:
        for table in stream(rng, replace(world, weight=state.weight), _STEP_REQUESTS, now_us):
            evidence.add(table)
        now_us += _STEP_REQUESTS * GAP_US
        action = next_step(plan, state, evidence, now_us)
        if isinstance(action, StepTo):
            state = state.after(action, plan, now_us)
        elif isinstance(action, Promote | RollBack) or getattr(action, "needs_person", False):
            return action, now_us / 1e6
    return None, now_us / 1e6


def led(how: str, accuracy: float, runs: int) -> dict[str, int]:
    """S4: how whole rollouts of a candidate of that accuracy end, the stable version's being 0.9."""
    plan = LED[how]
    world = World(stable=Arm(error=_ERROR), candidate=Arm(accuracy=accuracy, error=_ERROR))
    ends = [first_action(plan, world, _rng(4, round(1000 * accuracy), run)) for run in range(runs)]
    return {
        "promoted": sum(isinstance(action, Promote) for action, _ in ends),
        "rolled back": sum(isinstance(action, RollBack) for action, _ in ends),
        "decided": sum(action is not None and seconds <= plan.timeout_s for action, seconds in ends),
    }


_DAYS, _LABELS_A_DAY = 30, 1000


def quiet_triggers(reference: float, accuracy: float, months: int) -> list[int]:
    """S7: needless triggers in each month in which nothing changes."""
    return [_triggers(reference, _rng(7, round(1000 * accuracy), month), accuracy) for month in range(months)]


def _triggers(reference: float, rng: np.random.Generator, accuracy: float) -> int:
    trigger = QualityTrigger(reference=reference, quiet_labels=_DAYS * _LABELS_A_DAY)
    return sum(trigger.add(rng.random(_LABELS_A_DAY) < accuracy) for _ in range(_DAYS))


def lost_triggers(reference: float, runs: int) -> list[float]:
    """S7: labels until the trigger after a loss of ten points, which comes after 3,000 quiet labels."""
    return [_labels_to_trigger(reference, _rng(8, round(1000 * reference), run)) for run in range(runs)]


def _labels_to_trigger(reference: float, rng: np.random.Generator) -> float:
    trigger = QualityTrigger(reference=reference, quiet_labels=_DAYS * _LABELS_A_DAY)
    trigger.add(rng.random(3000) < reference)
    for labels in range(10, 3000, 10):
        if trigger.add(rng.random(10) < reference - 0.1):
            return labels
    return np.inf


UNFIT = (
    "no data",
    "stale data",
    "no stable answers",
    "no candidate answers",
    "twice the planned split",
    "half the labels of one arm",
)
FIT = "nothing wrong"


def forward_steps(kind: str, runs: int) -> tuple[int, int]:
    """S8: larger weights and promotions over evidence of that kind, and the looks taken."""
    forward = looks = 0
    for run in range(runs):
        rng = _rng(9, len(kind), run)
        plan = replace(
            _CANARY,
            on_timeout=list(OnTimeout)[run % len(OnTimeout)],
            min_labels=int(rng.integers(2)) * 100,
            weights=tuple(np.sort(rng.choice([0.05, 0.1, 0.2, 0.3, 0.4], 2, replace=False)).tolist()),
        )
        state, evidence = State.begin(plan, now_us=0), Evidence.begin(plan, started_us=0)
        for table in _tables(kind, rng, plan.weight(0)):
            evidence.add(table)
        for now_s in _looks(kind, plan):
            action = next_step(plan, state, evidence, round(now_s * 1e6))
            forward, looks = forward + isinstance(action, Promote | StepTo), looks + 1
    return forward, looks


def _tables(kind: str, rng: np.random.Generator, weight: float) -> Iterable[Table]:
    if kind == "no data":
        return ()
    real = {"no stable answers": 1.0, "no candidate answers": 0.0, "twice the planned split": 2.0 * weight}
    arm = Arm(error=_ERROR)
    answers, labels = stream(rng, World(stable=arm, candidate=arm, weight=weight, real_weight=real.get(kind)), 8000)
    if kind == "half the labels of one arm":
        kept = labels.candidate | (np.arange(len(labels)) % 2 == 0)
        labels = Labels(
            weight=weight, at_us=labels.at_us[kept], candidate=labels.candidate[kept], right=labels.right[kept]
        )
    return answers, labels


def _looks(kind: str, plan: Plan) -> Sequence[float]:
    """After the stream's 800 seconds; where they are not the fault, before its answers are stale too."""
    if kind in (FIT, "twice the planned split", "half the labels of one arm"):
        return [800.0 + 29.5 * look for look in range(20)]
    return [1401.0 + 0.04 * look * plan.timeout_s for look in range(20)]


_PIECE = 40


def cuts(runs: int) -> tuple[int, int]:
    """S9: restarts, one before every piece of a run, after which anything is said or known otherwise; and restarts."""
    differ = restarts = 0
    for run, (accuracy, error) in enumerate([(0.9, 0.001), (0.8, 0.001), (0.9, 0.05), (0.93, 0.001)] * runs):
        world = World(stable=Arm(error=0.001), candidate=Arm(accuracy=accuracy, error=error))
        tables = stream(_rng(10, run), world, 2000)
        pieces = [table[start : start + _PIECE] for start in range(0, 2000, _PIECE) for table in tables]
        kept = list(_followed(json.dumps(Evidence.begin(_plan(0.1), started_us=0).to_json()), pieces))
        for cut in range(len(pieces) - 1):
            differ += list(_followed(kept[cut][1], pieces[cut + 1 :])) != kept[cut + 1 :]
            restarts += 1
    return differ, restarts


def _followed(document: str, pieces: Sequence[Table]) -> Iterable[tuple[Action | None, str]]:
    """Go on from what was kept: what is said after each piece, and what is kept then."""
    plan = _plan(0.1)
    evidence = Evidence.from_json(plan, json.loads(document))
    for piece in pieces:
        evidence.add(piece)
        now_us = max(evidence.stable_last_us, evidence.candidate_last_us)
        yield next_step(plan, State.begin(plan, now_us=0), evidence, now_us), json.dumps(evidence.to_json())


def _rng(*key: int) -> np.random.Generator:
    return np.random.default_rng([_SEED, *key])
