"""Rollouts on record: their plan, where they stand, and what they have shown, changed together or not at all."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, select, update
from sqlalchemy.exc import IntegrityError

from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import rollouts
from fairlead.errors import Code, FairleadError
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.plan import Plan
from fairlead.rollout.state import State

__all__ = ["Intent", "Rollout", "RolloutRecords", "Status"]


class Status(enum.StrEnum):
    """What became of a rollout."""

    RUNNING = "running"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """An end that was decided and must be carried out, by whoever leads."""

    status: Status
    reason: str
    who: str

    def to_json(self) -> dict[str, Any]:
        """As it stands in the database."""
        return {"status": self.status.value, "reason": self.reason, "who": self.who}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One rollout.

    Attributes:
        id: names it, and salts the assignment of keys to its arms.
        candidate, baseline: versions; the baseline was stable when it began.
        plan, state, evidence: see the room `rollout`.
        steps: each weight that was in force, and since when the release had it, in microseconds since 1970.
        position, label_position: the last rows of the log and the labels that are in the evidence.
        halves: of a shadow, answers that wait for that of the other version, by id.
        waiting: labels that wait for their answer: id, label, when it came.
        intent: its end, once decided.
        looks: how often the inputs of the arms were compared.
        reason: why the step is in force.
        hold: why it does not go on; empty when nothing keeps it.
        turn: how often it was changed.
        status: what became of it.
        who, why: whose idea it was.
        started_us, ended_us: when; None while it runs.
    """

    id: str
    model: str
    candidate: int
    baseline: int
    plan: Plan
    state: State
    evidence: Evidence
    steps: tuple[tuple[float, int], ...]
    position: int
    label_position: int
    halves: Mapping[str, list[Any]] = field(default_factory=dict)
    waiting: tuple[tuple[str, str, int], ...] = ()
    intent: Intent | None = None
    looks: int = 0
    reason: str
    hold: str = ""
    turn: int = 0
    status: Status = Status.RUNNING
    who: str
    why: str
    started_us: int
    ended_us: int | None = None


class RolloutRecords:
    """The table of rollouts. Used by several threads and processes.

    Args:
        engine: where it is.
        fence: called in the transaction of each write, before it; raises when the writer has lost the right to.
    """

    def __init__(self, engine: Engine, fence: Callable[[Connection], None] | None = None) -> None:
        self._engine = engine
        self._fence = fence

    def add(self, rollout: Rollout) -> None:
        """Put it on record.

        Raises:
            FairleadError: ALREADY_EXISTS while another of the model runs, what `fence` raises, UNAVAILABLE.
        """
        with database_errors(self._engine), self._engine.begin() as connection:
            self._guard(connection)
            try:
                connection.execute(rollouts.insert().values(_values(rollout)))
            except IntegrityError as error:
                raise FairleadError(
                    Code.ALREADY_EXISTS,
                    f"a rollout of {rollout.model} runs already",
                    hint=f"fairlead rollout status {rollout.model}, then fairlead rollout abort {rollout.model}",
                ) from error

    def save(self, rollout: Rollout) -> Rollout:
        """Put it in the place of what it was made from.

        Raises:
            FairleadError: ABORTED when somebody else changed it meanwhile, what `fence` raises, UNAVAILABLE.
        """
        changed = replace(rollout, turn=rollout.turn + 1)
        is_this = (rollouts.c.id == rollout.id) & (rollouts.c.turn == rollout.turn)
        with database_errors(self._engine), self._engine.begin() as connection:
            self._guard(connection)
            if connection.execute(update(rollouts).where(is_this).values(_values(changed))).rowcount != 1:
                raise FairleadError(
                    Code.ABORTED,
                    f"the rollout of {rollout.model} was changed by somebody else",
                    hint=f"fairlead rollout status {rollout.model}",
                )
        return changed

    def running(self, model: str) -> Rollout | None:
        """The model's rollout under way, if there is one."""
        return next(iter(self._read(rollouts.c.model == model, rollouts.c.status == Status.RUNNING)), None)

    def all_running(self) -> list[Rollout]:
        """Every rollout under way."""
        return self._read(rollouts.c.status == Status.RUNNING)

    def of_model(self, model: str) -> list[Rollout]:
        """All of the model's, the newest first."""
        return self._read(rollouts.c.model == model)

    def _read(self, *conditions: ColumnElement[bool]) -> list[Rollout]:
        query = select(rollouts).where(*conditions).order_by(rollouts.c.started_us.desc(), rollouts.c.id)
        with database_errors(self._engine), reading(self._engine) as connection:
            return [_rollout(row) for row in connection.execute(query)]

    def _guard(self, connection: Connection) -> None:
        if self._fence:
            self._fence(connection)


def _values(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "model": rollout.model,
        "candidate": rollout.candidate,
        "baseline": rollout.baseline,
        "plan": rollout.plan.to_json(),
        "state": {
            "now": rollout.state.to_json(),
            "steps": [list(step) for step in rollout.steps],
            "halves": dict(rollout.halves),
            "waiting": [list(label) for label in rollout.waiting],
            "intent": rollout.intent.to_json() if rollout.intent else None,
            "looks": rollout.looks,
            "reason": rollout.reason,
            "hold": rollout.hold,
        },
        "evidence": rollout.evidence.to_json(),
        "position": rollout.position,
        "label_position": rollout.label_position,
        "turn": rollout.turn,
        "status": rollout.status,
        "who": rollout.who,
        "why": rollout.why,
        "started_us": rollout.started_us,
        "ended_us": rollout.ended_us,
    }


def _rollout(row: Row[Any]) -> Rollout:
    plan, state = Plan.from_json(row.plan), row.state
    return Rollout(
        id=row.id,
        model=row.model,
        candidate=row.candidate,
        baseline=row.baseline,
        plan=plan,
        state=State.from_json(state["now"]),
        evidence=Evidence.from_json(plan, row.evidence),
        steps=tuple((weight, since_us) for weight, since_us in state["steps"]),
        position=row.position,
        label_position=row.label_position,
        halves=state["halves"],
        waiting=tuple((id_, label, at_us) for id_, label, at_us in state["waiting"]),
        intent=Intent(**state["intent"] | {"status": Status(state["intent"]["status"])}) if state["intent"] else None,
        looks=state["looks"],
        reason=state["reason"],
        hold=state["hold"],
        turn=row.turn,
        status=Status(row.status),
        who=row.who,
        why=row.why,
        started_us=row.started_us,
        ended_us=row.ended_us,
    )
