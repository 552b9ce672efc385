"""What is to be done next in a rollout."""

from __future__ import annotations

from dataclasses import dataclass

from fairlead.rollout.verdict import Guard

__all__ = ["Action", "Hold", "Promote", "RollBack", "StepTo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTo:
    """Give the candidate the next, larger share.

    Attributes:
        weight: that share.
        reason: one sentence.
    """

    weight: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Make the candidate the stable version."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Take the candidate out, and do not try it again without a person.

    Attributes:
        reason: one sentence.
        guard: who found harm; None when the time ran out.
    """

    reason: str
    guard: Guard | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Change nothing, though the step's time is over: something is missing or not as planned.

    Attributes:
        reason: one sentence.
        guard: who stands in the way; None when time or traffic does.
        needs_person: nothing will decide this but a person.
    """

    reason: str
    guard: Guard | None
    needs_person: bool = False


Action = StepTo | Promote | RollBack | Hold
