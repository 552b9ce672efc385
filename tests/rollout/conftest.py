"""Traffic of a rollout, made up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.simulations.rollout_rules import Table
from benchmarks.simulations.rollout_streams import Arm, World, stream
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.observation import PairLabels, Pairs
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.state import State

__all__ = ["CANARY", "SHADOW", "begun", "folded", "pairs", "restored", "traffic"]

CANARY = Plan(mode=Mode.CANARY, weights=(0.1, 0.5), bake_s=60.0, min_requests=50, timeout_s=3600.0)
SHADOW = Plan(mode=Mode.SHADOW, bake_s=60.0, min_requests=50, timeout_s=3600.0)


def traffic(seed: int = 1, requests: int = 2000, start_us: int = 0, **world: Any) -> tuple[Table, ...]:
    """Answers and their labels, ten a second; both arms alike unless told otherwise."""
    equal = {"stable": Arm(error=0.001), "candidate": Arm(error=0.001)}
    return stream(np.random.default_rng(seed), World(**{**equal, **world}), requests, start_us)


def pairs(seed: int = 1, rows: int = 400, worse: float = 0.0, **columns: Any) -> tuple[Pairs, PairLabels]:
    """A shadow's rows with their labels, ten a second, both versions alike unless told otherwise."""
    rng = np.random.default_rng(seed)
    at_us, never = np.arange(1, rows + 1) * 100_000, np.zeros(rows, np.bool_)
    predicted = rng.integers(4, size=rows)
    answers = {
        "stable_error": never,
        "candidate_error": never,
        "stable_non_finite": never,
        "candidate_non_finite": never,
        "stable_latency_us": rng.integers(1_000, 2_000, rows),
        "candidate_latency_us": rng.integers(1_000, 2_000, rows),
        "stable_predicted": predicted,
        "candidate_predicted": predicted,
        "agrees": ~never,
        **columns,
    }
    stable_right = rng.random(rows) < 0.9
    candidate_right = stable_right & (rng.random(rows) >= worse)
    labels = PairLabels(at_us=at_us, stable_right=stable_right, candidate_right=candidate_right)
    return Pairs(at_us=at_us, classes=("a", "b", "c", "d"), **answers), labels


def folded(plan: Plan, tables: Sequence[Table]) -> Evidence:
    """The evidence of a rollout that began at 0."""
    evidence = Evidence.begin(plan, started_us=0)
    for table in tables:
        evidence.add(table)
    return evidence


def restored(plan: Plan, evidence: Evidence) -> Evidence:
    """What a monitor knows after a restart."""
    return Evidence.from_json(plan, json.loads(json.dumps(evidence.to_json(), allow_nan=False)))


def begun(plan: Plan) -> State:
    """A rollout that began at 0."""
    return State.begin(plan, now_us=0)
