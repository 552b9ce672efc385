"""Plans: what they may be, and that they survive being written down."""

import json
from typing import Any

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.rollout.plan import Mode, OnTimeout, Plan


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"mode": "canary"}, "weights () are missing"),
        ({"mode": "canary", "weights": [0.5, 0.1]}, "(0.5, 0.1) must rise"),
        ({"mode": "canary", "weights": [0.1, 0.1]}, "must rise"),
        ({"mode": "canary", "weights": [0.1, 1.5]}, "1.5) must lie above 0, at most at 1"),
        ({"mode": "canary", "weights": [0.0, 0.5]}, "must lie above 0"),
        ({"mode": "canary", "weights": [float("nan")]}, "must lie above 0"),
        ({"mode": "shadow", "weights": [0.1]}, "a shadow has none"),
        ({"mode": "ab", "weights": [0.1, 0.5], "min_labels": 10}, "are one, below 1"),
        ({"mode": "ab", "weights": [1.0], "min_labels": 10}, "are one, below 1"),
        ({"mode": "ab", "weights": [0.5]}, "exactly one of them"),
        ({"mode": "ab", "weights": [0.5], "min_labels": 10, "horizon_s": 60}, "exactly one of them"),
        ({"mode": "shadow", "horizon_s": 60}, "for an A/B alone"),
        ({"mode": "shadow", "bake_s": -1}, "bake_s -1.0"),
        ({"mode": "shadow", "timeout_s": 0}, "timeout_s 0.0"),
        ({"mode": "shadow", "timeout_s": float("inf")}, "timeout_s inf"),
        ({"mode": "shadow", "bake_s": 100, "timeout_s": 100}, "does not exceed the 100 s"),
        ({"mode": "canary", "weights": [0.1, 0.5], "bake_s": 100, "timeout_s": 200}, "does not exceed the 200 s"),
        ({"mode": "shadow", "min_requests": -1}, "min_requests -1"),
        ({"mode": "shadow", "alpha": 0.6}, "alpha 0.6"),
        ({"mode": "shadow", "alpha": 0}, "alpha 0.0"),
        ({"mode": "shadow", "confidence": 0.4}, "confidence 0.4"),
        ({"mode": "shadow", "margin": -0.1}, "margin -0.1"),
        ({"mode": "shadow", "max_latency_ratio": 0.9}, "max_latency_ratio 0.9"),
        ({"mode": "shadow", "min_agreement": 1}, "min_agreement 1.0"),
        ({"mode": "shadow", "min_requests": 2.5}, "min_requests 2.5"),
        ({"mode": "shadow", "bake_s": "60"}, "bake_s '60'"),
        ({"mode": "shadow", "bake_s": True}, "bake_s True"),
        ({"mode": "canary", "weights": "0.1"}, "weights '0.1'"),
        ({"mode": "blue"}, "mode is 'blue'"),
        ({"mode": "shadow", "on_timeout": "panic"}, "on_timeout is 'panic'"),
        ({"mode": "shadow", "speed": 1}, "no field 'speed'"),
        ({"weights": [0.1]}, "names no mode"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(fields: dict[str, Any], told: str) -> None:
    """Weights that fall or exceed 1, negative times, unknown words: an error that holds the offending value."""
    with pytest.raises(FairleadError) as refused:
        Plan.from_json(fields)

    assert refused.value.code is Code.INVALID_ARGUMENT
    assert told in refused.value.message


@pytest.mark.parametrize(
    "plan",
    [
        Plan(mode=Mode.SHADOW, min_labels=100),
        Plan(mode=Mode.CANARY, weights=(0.01, 0.1, 1.0), on_timeout=OnTimeout.PROMOTE),
        Plan(mode=Mode.AB, weights=(0.3,), horizon_s=86_400.0, on_timeout=OnTimeout.HOLD_FOR_PERSON),
    ],
)
def test_a_plan_survives_being_written_down(plan: Plan) -> None:
    """What is written as JSON reads back as the same plan."""
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_nothing_promotes_by_default_when_the_time_is_up() -> None:
    """The default of a timeout takes the candidate back."""
    assert Plan(mode=Mode.SHADOW).on_timeout is OnTimeout.ROLL_BACK


def test_steps_and_their_weights() -> None:
    """A canary has a step for each weight, a shadow one without any."""
    canary, shadow = Plan(mode=Mode.CANARY, weights=(0.1, 0.5)), Plan(mode=Mode.SHADOW)

    assert [canary.weight(step) for step in range(canary.steps)] == [0.1, 0.5]
    assert [shadow.weight(step) for step in range(shadow.steps)] == [0.0]
