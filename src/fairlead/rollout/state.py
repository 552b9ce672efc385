"""Where a rollout stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from fairlead.errors import Code, FairleadError
from fairlead.rollout.action import StepTo
from fairlead.rollout.plan import Plan

__all__ = ["State"]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A rollout under way.

    Attributes:
        step: which of the plan's steps is in force, from 0.
        weight: the candidate's share of requests; 0.0 for a shadow.
        started_us: when the rollout began, in microseconds since 1970.
        step_started_us: when this step began.
    """

    step: int
    weight: float
    started_us: int
    step_started_us: int

    @classmethod
    def begin(cls, plan: Plan, now_us: int) -> Self:
        """The first step, from now on."""
        return cls(step=0, weight=plan.weight(0), started_us=now_us, step_started_us=now_us)

    def after(self, action: StepTo, plan: Plan, now_us: int) -> State:
        """The next step, from now on.

        Raises:
            FairleadError: INVALID_ARGUMENT when the action's weight is not the plan's next.
        """
        step = self.step + 1
        if step >= plan.steps or plan.weight(step) != action.weight:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"a weight of {action.weight} does not follow step {self.step} of the plan"
            )
        return State(step=step, weight=action.weight, started_us=self.started_us, step_started_us=now_us)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        return cls(**document)
