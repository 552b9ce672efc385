"""Brings rollouts forward: reads what the log has of them, asks `next_step`, and makes the release say so.

What is to be is written down before it is done. Whoever leads next finds an end that was decided and carries it out; a
release that does not have the step yet gets it. The release itself is changed only from the revision that was seen.
"""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine

from fairlead.controller.arms import compare_inputs, is_look_due
from fairlead.controller.journal import Action, Journal
from fairlead.controller.observing import after_labels, after_rows
from fairlead.controller.rollout_record import Intent, Rollout, RolloutRecords, Status
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.arrivals import answers_to, arrivals_after, last_arrival
from fairlead.monitoring.prediction import Arm
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.rollout.action import Hold, Promote, RollBack, StepTo
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.guards import findings
from fairlead.rollout.next_step import next_step
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.state import State
from fairlead.servable.identity import ServableId
from fairlead.store import release as releases
from fairlead.store.release import Candidate, Release
from fairlead.store.writable_store import WritableStore

__all__ = ["Rollouts"]

_ROWS_AT_ONCE = 5_000
_ROWS_COMPARED = 2_000
_WHOLE = 1.0
_TURNS = 3
_ACTIONS = {
    Status.PROMOTED: Action.PROMOTED,
    Status.ROLLED_BACK: Action.ROLLED_BACK,
    Status.ABORTED: Action.ABORTED,
}


class Rollouts:
    """The rollouts of one store.

    Args:
        engine: where the log, the labels and the rollouts are.
        store: whose releases move.
        journal: told of everything that is done.
        now_us: the clock, in microseconds since 1970.
        who: who decides where no person does.
        fence: see `RolloutRecords`.
        new_id: names a rollout, and so deals its keys out.
        before_promotion: called before a candidate becomes the stable version.
    """

    def __init__(
        self,
        engine: Engine,
        store: WritableStore,
        journal: Journal,
        *,
        now_us: Callable[[], int],
        who: str,
        fence: Callable[[Connection], None] | None = None,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
        before_promotion: Callable[[Rollout], None] = lambda _: None,
    ) -> None:
        self._before_promotion = before_promotion
        self._new_id = new_id
        self._engine = engine
        self._store = store
        self._journal = journal
        self._now_us = now_us
        self._who = who
        self._records = RolloutRecords(engine, fence)
        self._log = PredictionLog(engine)

    # -- for people and triggers -----------------------------------------------------------------------------------

    def start(self, id_: ServableId, plan: Plan, *, who: str, why: str, again: bool = False) -> Rollout:
        """Begin to try a version.

        Args:
            id_: the candidate, which must be published and whole.
            plan: how.
            who: whose idea it is.
            why: for the journal.
            again: also when the version was rolled back before, which only a person should say.

        Raises:
            FairleadError: NOT_FOUND or DATA_LOSS for the version; FAILED_PRECONDITION when nothing is stable, when the
                version is, or was rolled back before; ALREADY_EXISTS while another rollout of the model runs.
        """
        self._store.open(id_)
        release = self._store.release(id_.model)
        if release is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{id_.model} has no stable version to compare with",
                hint=f"fairlead promote {id_.model} {id_.version}",
            )
        if release.stable == id_.version:
            raise FairleadError(Code.FAILED_PRECONDITION, f"version {id_.version} of {id_.model} is the stable one")
        if not again and self._was_rolled_back(id_):
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"version {id_.version} of {id_.model} was rolled back before",
                hint=f"fairlead history {id_.model} says why; fairlead rollout start ... --again tries it all the same",
            )
        now_us = self._now_us()
        state = State.begin(plan, now_us)
        rollout = Rollout(
            id=self._new_id(),
            model=id_.model,
            candidate=id_.version,
            baseline=release.stable,
            plan=plan,
            state=state,
            evidence=Evidence.begin(plan, now_us),
            steps=(),
            position=self._log.last(),
            label_position=last_arrival(self._engine),
            reason=why or "no reason given",
            who=who,
            why=why,
            started_us=now_us,
        )
        self._records.add(rollout)
        return self._begin(rollout)

    def end(self, model: str, status: Status, *, who: str, why: str) -> Rollout:
        """End the model's rollout as a person decides, whatever it shows.

        Args:
            model: its name.
            status: PROMOTED lets the candidate serve; after ABORTED and ROLLED_BACK the stable version goes on for
                everybody, and what was rolled back is not tried again by itself.
            who: whose decision it is.
            why: for the journal.

        Raises:
            FairleadError: NOT_FOUND when none runs, ABORTED when it was changed at this very moment.
        """
        return self._end(self.require(model), Intent(status=status, reason=why, who=who))

    def require(self, model: str) -> Rollout:
        """The model's rollout under way, else NOT_FOUND."""
        rollout = self._records.running(model)
        if rollout is None:
            raise FairleadError(
                Code.NOT_FOUND, f"no rollout of {model} runs", hint=f"fairlead rollout start {model} VERSION"
            )
        return rollout

    def is_running(self, model: str) -> bool:
        """Whether a version of the model is being tried."""
        return self._records.running(model) is not None

    def of_model(self, model: str) -> list[Rollout]:
        """All rollouts of the model, the newest first."""
        return self._records.of_model(model)

    def _begin(self, rollout: Rollout) -> Rollout:
        """Put the first step in force. Whoever leads may do the same as soon as it is on record: then it is done."""
        for _ in range(_TURNS):
            try:
                return self._apply(rollout)
            except FairleadError as error:
                now = self._records.running(rollout.model)
                if error.code is not Code.ABORTED or now is None or now.id != rollout.id:
                    raise
                rollout = now
        return self._apply(rollout)

    # -- for the one that leads ------------------------------------------------------------------------------------

    def step_all(self) -> list[Rollout]:
        """Bring every rollout forward; those that changed other than by new evidence."""
        return [after for before in self._records.all_running() if (after := self.step(before)) is not None]

    def step(self, rollout: Rollout) -> Rollout | None:
        """Bring one forward; None when nothing but its evidence changed."""
        if rollout.intent is not None:
            return self._carry_out(rollout)
        applied = self._apply(rollout)
        if applied.status is not Status.RUNNING:
            return applied
        return self._decide(self._compare_inputs(self._observe(applied)))

    def _decide(self, rollout: Rollout) -> Rollout | None:
        action = next_step(rollout.plan, rollout.state, rollout.evidence, self._now_us())
        match action:
            case StepTo():
                return self._step_to(rollout, action)
            case Promote():
                return self._end(rollout, Intent(status=Status.PROMOTED, reason=action.reason, who=self._who))
            case RollBack():
                return self._end(rollout, Intent(status=Status.ROLLED_BACK, reason=action.reason, who=self._who))
            case Hold():
                return self._hold(rollout, action)
        return None if rollout.hold == "" else self._records.save(replace(rollout, hold=""))

    def _observe(self, rollout: Rollout) -> Rollout:
        """Fold in what is new, a piece at a time; every piece is saved with its position."""
        classes = self._classes(rollout)
        while rows := self._log.after(rollout.model, rollout.position, limit=_ROWS_AT_ONCE):
            rollout = self._records.save(after_rows(rollout, rows, classes))
        while True:
            arrivals = arrivals_after(self._engine, rollout.label_position, limit=_ROWS_AT_ONCE)
            ids = [*(one.prediction_id for one in arrivals), *(label[0] for label in rollout.waiting)]
            if not ids:
                return rollout
            after = after_labels(rollout, arrivals, answers_to(self._engine, ids), self._now_us())
            if arrivals or len(after.waiting) < len(rollout.waiting):
                rollout = self._records.save(after)
            if not arrivals:
                return rollout

    def _compare_inputs(self, rollout: Rollout) -> Rollout:
        """Look at what both arms were asked, at a few numbers of rows; a shadow is asked the same."""
        rows = sum(period.candidate[0] for period in rollout.evidence.periods.values())
        if rollout.plan.mode is Mode.SHADOW or not is_look_due(rollout.looks, rows):
            return rollout
        model, evidence = rollout.model, copy.deepcopy(rollout.evidence)
        stable = self._log.newest(model, limit=_ROWS_COMPARED, version=rollout.baseline, arm=Arm.STABLE)
        candidate = self._log.newest(model, limit=_ROWS_COMPARED, version=rollout.candidate, arm=Arm.CANDIDATE)
        evidence.note_drift(*compare_inputs(stable, candidate))
        return self._records.save(replace(rollout, evidence=evidence, looks=rollout.looks + 1))

    def _apply(self, rollout: Rollout) -> Rollout:
        """See to it that the release has the step that is in force, unless somebody ended the trial by hand."""
        release = self._store.release(rollout.model)
        wanted = _candidate(rollout)
        if release is not None and release.candidate == wanted and release.stable == rollout.baseline:
            is_noted = len(rollout.steps) == rollout.state.step + 1
            return rollout if is_noted else self._note_step(rollout, release)
        if release is None or release.stable != rollout.baseline or (rollout.steps and release.candidate is None):
            return self._ended_by_hand(rollout, release)
        self._tell_step(rollout)
        why = f"rollout {rollout.id[:8]}: {rollout.plan.mode} with a weight of {wanted.weight:g}"
        release = self._store.try_candidate(
            rollout.model, wanted, why=why, expected=release.revision, evidence={"rollout": rollout.id}
        )
        return self._note_step(rollout, release)

    def _note_step(self, rollout: Rollout, release: Release) -> Rollout:
        """Note since when the weight is in force: rows of before were dealt out by the one before it."""
        since_us = int(release.at.timestamp() * 1e6)
        return self._records.save(replace(rollout, steps=(*rollout.steps, (rollout.state.weight, since_us))))

    def _step_to(self, rollout: Rollout, action: StepTo) -> Rollout:
        state = rollout.state.after(action, rollout.plan, self._now_us())
        reason = f"weight {action.weight:g}: {action.reason}"
        return self._apply(self._records.save(replace(rollout, state=state, reason=reason, hold="")))

    def _tell_step(self, rollout: Rollout) -> None:
        """Write the step down, before the release has it and once: whoever was killed here is followed by another."""
        is_first = rollout.state.step == 0
        first = {"plan": rollout.plan.to_json(), "baseline": rollout.baseline}
        self._journal.write(
            Action.STARTED if is_first else Action.STEPPED,
            model=rollout.model,
            subject=str(rollout.candidate),
            why=rollout.reason,
            evidence={"rollout": rollout.id, "wanted_by": rollout.who, **(first if is_first else _told(rollout))},
            key=f"{rollout.id}:step:{rollout.state.step}",
        )

    def _hold(self, rollout: Rollout, action: Hold) -> Rollout | None:
        kind = action.guard.value if action.guard else action.reason.split(" ", 1)[0]
        if rollout.hold == kind:  # told before: figures in the reason change with every look
            return None
        self._journal.write(
            Action.HELD,
            model=rollout.model,
            subject=str(rollout.candidate),
            why=action.reason + ("; a person has to decide" if action.needs_person else ""),
            evidence=_told(rollout),
        )
        return self._records.save(replace(rollout, hold=kind))

    def _end(self, rollout: Rollout, intent: Intent) -> Rollout:
        return self._carry_out(self._records.save(replace(rollout, intent=intent)))

    def _carry_out(self, rollout: Rollout) -> Rollout:
        """Do what was decided; again, if somebody was killed while at it."""
        intent = rollout.intent
        if intent is None:
            raise FairleadError(Code.INTERNAL, f"the rollout {rollout.id} has no end to carry out")
        release = self._store.release(rollout.model)
        evidence = {"rollout": rollout.id, **_told(rollout)}
        if intent.status is Status.PROMOTED and release is not None and release.stable == rollout.baseline:
            self._before_promotion(rollout)
            self._store.promote(
                ServableId(rollout.model, rollout.candidate),
                why=intent.reason,
                expected=release.revision,
                evidence=evidence,
            )
        elif release is not None and release.candidate == _candidate(rollout):
            self._store.try_candidate(
                rollout.model, None, why=intent.reason, expected=release.revision, evidence=evidence
            )
        return self._close(rollout, intent)

    def _ended_by_hand(self, rollout: Rollout, release: Release | None) -> Rollout:
        """A person promoted, rolled back or took the candidate out: the release says so, and that is that."""
        promoted = release is not None and release.stable == rollout.candidate
        status = Status.PROMOTED if promoted else Status.ABORTED
        who, why = (release.who, release.why) if release else ("", "")
        said = f"{who or 'somebody'} changed the release: {why or 'no reason given'}"
        return self._close(rollout, Intent(status=status, reason=said, who=who))

    def _close(self, rollout: Rollout, intent: Intent) -> Rollout:
        self._journal.write(
            _ACTIONS[intent.status],
            model=rollout.model,
            subject=str(rollout.candidate),
            why=intent.reason or "no reason given",
            evidence={"rollout": rollout.id, "decided_by": intent.who, **_told(rollout)},
            key=f"{rollout.id}:ended",
        )
        return self._records.save(
            replace(rollout, intent=intent, status=intent.status, hold="", ended_us=self._now_us())
        )

    def _was_rolled_back(self, id_: ServableId) -> bool:
        tried = any(
            one.candidate == id_.version and one.status is Status.ROLLED_BACK for one in self.of_model(id_.model)
        )
        stables = [release.stable for release in self._store.history(id_.model)]
        left = any(before == id_.version and after < before for before, after in itertools.pairwise(stables))
        return tried or left

    def _classes(self, rollout: Rollout) -> tuple[str, ...]:
        """The labels that either version knows."""
        known: dict[str, None] = {}
        for version in (rollout.baseline, rollout.candidate):
            known |= dict.fromkeys(self._store.manifest(ServableId(rollout.model, version)).labels)
        return tuple(known)


def _candidate(rollout: Rollout) -> Candidate:
    """What the release should say while the step is in force."""
    is_shadow = rollout.plan.mode is Mode.SHADOW
    return Candidate(
        version=rollout.candidate,
        mode=releases.Mode(rollout.plan.mode.value),
        weight=_WHOLE if is_shadow else rollout.state.weight,
        salt=rollout.id,
    )


def _told(rollout: Rollout) -> dict[str, Any]:
    """The evidence as the journal and the release keep it."""
    return {
        "step": rollout.state.step,
        "weight": rollout.state.weight,
        "findings": [finding.to_json() for finding in findings(rollout.plan, rollout.evidence)],
    }
