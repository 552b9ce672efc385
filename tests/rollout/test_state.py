"""Where a rollout stands."""

import json

import pytest
from tests.rollout.conftest import CANARY, SHADOW

from fairlead.errors import FairleadError
from fairlead.rollout.action import StepTo
from fairlead.rollout.state import State


def test_a_rollout_goes_through_its_plan_step_by_step() -> None:
    """The next step keeps the rollout's start and marks its own."""
    state = State.begin(CANARY, now_us=5).after(StepTo(weight=0.5, reason=""), CANARY, now_us=9)

    assert state == State(step=1, weight=0.5, started_us=5, step_started_us=9)
    assert State.from_json(json.loads(json.dumps(state.to_json()))) == state


@pytest.mark.parametrize("weight", [0.1, 0.4, 1.0])
def test_a_weight_that_is_not_the_next_is_refused(weight: float) -> None:
    """An action for another step of the plan is an error."""
    with pytest.raises(FairleadError):
        State.begin(CANARY, now_us=0).after(StepTo(weight=weight, reason=""), CANARY, now_us=1)


def test_a_shadow_begins_without_traffic() -> None:
    """Its weight is 0, and no step follows."""
    state = State.begin(SHADOW, now_us=0)

    assert state.weight == 0.0
    with pytest.raises(FairleadError):
        state.after(StepTo(weight=0.1, reason=""), SHADOW, now_us=1)
