"""Rollouts as the console shows and ends them."""

from __future__ import annotations

from typing import Any

from fairlead.app.console.records import Records
from fairlead.app.control import open_rollouts
from fairlead.app.looking import find_leader
from fairlead.app.rollouts import end_rollout, rollout_to_json
from fairlead.config import Settings
from fairlead.console.ports import Document, Done
from fairlead.controller.rollout_record import Rollout, Status
from fairlead.errors import Code, FairleadError
from fairlead.store.store import Store

__all__ = ["LiveRollouts"]

_MOST_OF_MODEL = 50
_SAYS = {
    Status.PROMOTED: "{candidate} serves now",
    Status.ABORTED: "{candidate} is tried no more; {baseline} goes on for everybody",
    Status.ROLLED_BACK: "{candidate} is taken back and not tried again by itself; {baseline} goes on for everybody",
}


class LiveRollouts:
    """A `RolloutsView` of the running system.

    Args:
        settings: say where everything is.
        records: the database with the rollouts.
        store: knows the models.
    """

    def __init__(self, settings: Settings, records: Records, store: Store) -> None:
        self._settings = settings
        self._records = records
        self._store = store

    def rollouts(self) -> Document:
        engine = self._records.find()
        if engine is None:
            return {"running": [], "ended": [], "controller": None}
        rollouts, leader = open_rollouts(self._settings, engine), find_leader(engine)
        found = [one for model in self._store.models() for one in rollouts.of_model(model)[:_MOST_OF_MODEL]]
        found.sort(key=lambda one: one.started_us, reverse=True)
        return {
            "running": [_told(one) for one in found if one.ended_us is None],
            "ended": [_told(one) for one in found if one.ended_us is not None],
            "controller": leader.holder if leader else None,
        }

    def rollout(self, id_: str) -> Document:
        engine = self._records.require()
        leader = find_leader(engine)
        return {**_told(self._require(id_)), "controller": leader.holder if leader else None}

    def end(self, user: str, id_: str, status: str, why: str) -> Done:
        engine, ended = self._records.require(), Status(status)
        rollout = self._require(id_)
        if rollout.ended_us is not None:
            said = rollout.status.replace("_", " ")
            raise FairleadError(Code.FAILED_PRECONDITION, f"this rollout has ended: {said}; nothing was changed")
        done = end_rollout(self._settings, engine, rollout.model, ended, who=user, why=why)
        names = {"candidate": f"Version {done.candidate} of {done.model}", "baseline": f"version {done.baseline}"}
        return Done(text=f"{_SAYS[ended].format(**names)}.")

    def _require(self, id_: str) -> Rollout:
        rollouts = open_rollouts(self._settings, self._records.require())
        for model in self._store.models():
            for one in rollouts.of_model(model):
                if one.id == id_:
                    return one
        raise FairleadError(Code.NOT_FOUND, f"there is no rollout {id_[:80]!r}", hint="fairlead rollout status")


def _told(rollout: Rollout) -> dict[str, Any]:
    """What the commands tell, and what only a page has room for."""
    return {
        **rollout_to_json(rollout),
        "reason": rollout.reason,
        "hold": rollout.hold,
        "decided_by": rollout.intent.who if rollout.intent else "",
        "decision": rollout.intent.reason if rollout.intent else "",
        "weights": [{"weight": weight, "since_us": since_us} for weight, since_us in rollout.steps],
        "timeout_us": rollout.started_us + round(rollout.plan.timeout_s * 1e6),
        "periods": [
            {"weight": weight, "stable": _arm(period.stable), "candidate": _arm(period.candidate)}
            for weight, period in rollout.evidence.periods.items()
        ],
        "pairs": {
            "answered": rollout.evidence.pairs.answered,
            "labelled": rollout.evidence.pairs.labelled,
            "only_stable": rollout.evidence.pairs.only_stable,
            "only_candidate": rollout.evidence.pairs.only_candidate,
        },
    }


def _arm(counts: list[int]) -> dict[str, Any]:
    answered, labelled, right = counts
    return {"rows": answered, "labels": labelled, "accuracy": right / labelled if labelled else None}
