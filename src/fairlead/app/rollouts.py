"""Rollouts as people and programs are told of them, and how a person ends one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from fairlead.app.control import now_us, open_rollouts
from fairlead.app.releases import now
from fairlead.config import Settings
from fairlead.controller.passes import Passes
from fairlead.controller.passes import Status as PassStatus
from fairlead.controller.rollout_record import Rollout, Status
from fairlead.controller.rollouts import Rollouts
from fairlead.errors import Code, FairleadError
from fairlead.rollout.action import Action, Hold, Promote, StepTo
from fairlead.rollout.guards import findings
from fairlead.rollout.next_step import next_step

__all__ = ["end_rollout", "outlook", "rollout_to_json", "rows_and_labels"]

_MOST_TRIES = 5


def end_rollout(settings: Settings, engine: Engine, model: str, status: Status, *, who: str, why: str) -> Rollout:
    """End the model's rollout as a person decides, also when the controller notes new evidence at that very moment.

    The retraining that made the candidate ends with it. See `Rollouts.end`.
    """
    ended = _insist(open_rollouts(settings, engine, who), model, status, who=who, why=why)
    passes = Passes(engine, now=now)
    made = passes.of_version(model, ended.candidate)
    if made is not None and made.status is PassStatus.PUBLISHED:
        came_to = PassStatus.PROMOTED if status is Status.PROMOTED else PassStatus.ROLLED_BACK
        passes.finish(made.id, came_to, outcome={"why": why})
    return ended


def _insist(rollouts: Rollouts, model: str, status: Status, *, who: str, why: str) -> Rollout:
    for _ in range(_MOST_TRIES - 1):
        try:
            return rollouts.end(model, status, who=who, why=why)
        except FairleadError as error:
            if error.code is not Code.ABORTED:
                raise
    return rollouts.end(model, status, who=who, why=why)


def rollout_to_json(rollout: Rollout) -> dict[str, Any]:
    """Where it stands, and what each guard says."""
    rows, labels = rows_and_labels(rollout)
    return {
        "rollout": rollout.id,
        "model": rollout.model,
        "candidate": rollout.candidate,
        "baseline": rollout.baseline,
        "status": rollout.status.value,
        "plan": rollout.plan.to_json(),
        "step": rollout.state.step,
        "weight": rollout.state.weight,
        "step_started_us": rollout.state.step_started_us,
        "started_us": rollout.started_us,
        "ended_us": rollout.ended_us,
        "who": rollout.who,
        "why": rollout.why,
        "rows": {"stable": rows[0], "candidate": rows[1]},
        "labels": {"stable": labels[0], "candidate": labels[1]},
        "next": outlook(rollout),
        "findings": [finding.to_json() for finding in findings(rollout.plan, rollout.evidence)],
    }


def outlook(rollout: Rollout) -> str:
    """What comes next and why, by the evidence that is in; or what came."""
    if rollout.ended_us is not None:
        ended = datetime.fromtimestamp(rollout.ended_us / 1e6, UTC)
        return f"{ended:%Y-%m-%d %H:%M:%S} UTC: {rollout.intent.reason if rollout.intent else ''}"
    if rollout.intent is not None:
        return f"{rollout.intent.status.replace('_', ' ')}, as soon as a controller looks: {rollout.intent.reason}"
    action = next_step(rollout.plan, rollout.state, rollout.evidence, now_us())
    return "the step's time is not over" if action is None else f"{_coming(rollout, action)}: {action.reason}"


def rows_and_labels(rollout: Rollout) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows of the stable version and of the candidate, and the labels that came for them."""
    pairs, periods = rollout.evidence.pairs, rollout.evidence.periods.values()
    if not rollout.plan.weights:
        return (pairs.answered, pairs.answered), (pairs.labelled, pairs.labelled)
    rows = sum(one.stable[0] for one in periods), sum(one.candidate[0] for one in periods)
    return rows, (sum(one.stable[1] for one in periods), sum(one.candidate[1] for one in periods))


def _coming(rollout: Rollout, action: Action) -> str:
    if isinstance(action, StepTo):
        return f"a weight of {action.weight:g}, as soon as a controller looks"
    if isinstance(action, Hold):
        decides = f"it waits for a person (fairlead promote {rollout.model} {rollout.candidate}, or rollout abort)"
        return decides if action.needs_person else "it waits"
    return f"{'promotion' if isinstance(action, Promote) else 'rollback'}, as soon as a controller looks"
