"""The loop that keeps models honest: one look at the clock, the log, the rollouts and the retrainings, again and again.

Every look does what can be done now and waits for nothing. One controller leads, by a lease; whatever it writes is
written while it holds the lease, and whoever takes over finds on record how far things are.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Engine

from fairlead.controller.journal import Action, Journal
from fairlead.controller.lease import LEADER, Holding, Lease
from fairlead.controller.notification import Event, notification
from fairlead.controller.notifier import Notifier
from fairlead.controller.passes import Pass, Passes, Status, Step, Trigger
from fairlead.controller.retrain_config import RetrainConfig
from fairlead.controller.rollout_record import Rollout
from fairlead.controller.rollout_record import Status as RolloutStatus
from fairlead.controller.rollouts import Rollouts
from fairlead.controller.schedule import Due, Schedule, due
from fairlead.controller.watch import Alarm, Concern, Watcher
from fairlead.errors import Code, FairleadError
from fairlead.rollout.plan import Plan
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore

__all__ = ["Controller", "Result", "Retraining", "Trainer"]

_MOST_ATTEMPTS = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a training run came to.

    Attributes:
        status: PUBLISHED, REFUSED or FAILED.
        version: what was published; None for nothing.
        why: one sentence.
        evidence: the gate's report, or what there is.
    """

    status: Status
    version: int | None
    why: str
    evidence: Mapping[str, Any]


class Retraining(Protocol):
    """A training run under way, which ends with the process that began it."""

    def poll(self) -> Result | None:
        """What it came to; None while it runs."""

    def stop(self) -> None:
        """End it."""


class Trainer(Protocol):
    """Begins training runs."""

    def begin(self, model: str, pass_id: str, config: RetrainConfig) -> Retraining:
        """Train, gate and publish; what is published names the pass in its lineage."""


class Controller:
    """Looks after the models of one store.

    Args:
        engine: a migrated database.
        store: whose versions and releases are looked after.
        models: those with a recipe, which can be trained again.
        trainer: trains them.
        plan: how what was trained is tried.
        schedule: when to train whatever happens; None for never.
        notifier: tells people.
        back_up: makes a backup for the reason given.
        tidy: deletes what was kept long enough.
        now: the clock.
        who: this controller, as no other is called.
        new_id: names rollouts.
    """

    def __init__(
        self,
        engine: Engine,
        store: WritableStore,
        models: Sequence[str],
        *,
        trainer: Trainer,
        plan: Plan,
        schedule: Schedule | None,
        notifier: Notifier,
        back_up: Callable[[str], None],
        tidy: Callable[[], None],
        now: Callable[[], datetime],
        who: str,
    ) -> None:
        self._store = store
        self._models = tuple(models)
        self._trainer = trainer
        self._plan = plan
        self._schedule = schedule
        self._notifier = notifier
        self._back_up = back_up
        self._tidy = tidy
        self._now = now
        self._since = now()
        self._lease = Lease(engine, name=LEADER, holder=who, now=now)
        self._holding: Holding | None = None
        self._running: dict[str, Retraining] = {}
        fence = self._lease.check
        self._journal = Journal(engine, now=now, who=LEADER, fence=fence)
        self._passes = Passes(engine, now=now, fence=fence)
        self._watcher = Watcher(engine, store, fence)
        self._rollouts = Rollouts(
            engine,
            store,
            self._journal,
            now_us=lambda: int(self._now().timestamp() * 1e6),
            who=LEADER,
            fence=fence,
            before_promotion=lambda rollout: self._guarded_backup(rollout.model, f"before {rollout.candidate} serves"),
        )

    def look(self) -> Holding:
        """Do what is to be done now, if this controller leads; who leads.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer; the next look goes on.
        """
        holding = self._lead()
        if holding.is_mine:
            for model in self._store.models():
                self._attempt(f"watching {model}", functools.partial(self._watcher.step, model, self._heed))
            self._attempt("the schedule", self._heed_clock)
            self._attempt("the retrainings", self._bring_passes_forward)
            self._attempt("the rollouts", self._bring_rollouts_forward)
            self._attempt("retention", self._tidy)
        return holding

    def close(self) -> None:
        """End what runs, and let another lead at once."""
        for retraining in self._running.values():
            retraining.stop()
        if self._holding is not None and self._holding.is_mine:
            self._lease.release()

    def _lead(self) -> Holding:
        if self._holding is not None and self._holding.is_mine:
            try:
                self._holding = self._lease.renew()
            except FairleadError as error:
                if error.code is not Code.ABORTED:
                    raise
                _log.error("another controller leads now: %s", error)
                self._holding = None
        if self._holding is None or not self._holding.is_mine:
            self._holding = self._lease.acquire()
            if self._holding.is_mine:
                self._journal.write(Action.LED, model="", subject=self._holding.holder, why=str(self._holding))
        return self._holding

    def _attempt(self, what: str, do: Callable[[], None]) -> None:
        """Do a part of the look; what is wrong with one part does not keep the others from theirs."""
        try:
            do()
        except FairleadError as error:
            if error.code is Code.UNAVAILABLE:
                raise
            _log.error("%s: %s", what, error)

    # -- what sets a retraining off --------------------------------------------------------------------------------

    def _heed_clock(self) -> None:
        for model in self._models if self._schedule else ():
            key = self._passes.last_key(model, Trigger.SCHEDULE)
            last = None if key is None else Due.instant(key)
            found = due(self._schedule or Schedule(), since=self._since, last=last, now=self._now())
            if found is not None:
                self._trigger(model, Trigger.SCHEDULE, found.key, "the schedule says so")

    def _heed(self, alarm: Alarm) -> None:
        is_drift = alarm.concern is Concern.DRIFT
        self._journal.write(
            Action.ALARMED,
            model=alarm.model,
            subject=str(alarm.version),
            why=alarm.why,
            evidence=alarm.evidence,
            key=alarm.key,
        )
        event = Event.DRIFTED if is_drift else Event.DEGRADED
        self._tell(event, model=alarm.model, version=alarm.version, why=alarm.why)
        if alarm.model in self._models:
            trigger = Trigger.DRIFT if is_drift else Trigger.QUALITY
            self._trigger(alarm.model, trigger, alarm.key, alarm.why)

    def _trigger(self, model: str, trigger: Trigger, key: str, why: str) -> None:
        """Begin a pass, unless one is under way or its version is being tried: that one answers the same question."""
        if self._passes.unfinished(model) or self._rollouts.is_running(model):
            return
        begun = self._passes.begin(model, trigger, key, RetrainConfig().to_json())
        if begun is not None:
            self._journal.write(
                Action.TRIGGERED, model=model, subject=trigger.value, why=why, key=f"{begun.id}:triggered"
            )

    # -- retrainings -----------------------------------------------------------------------------------------------

    def _bring_passes_forward(self) -> None:
        for one in self._passes.unfinished():
            if one.model not in self._models:
                self._passes.finish(one.id, Status.FAILED, outcome={"why": "no recipe of that model is known here"})
                continue
            self._bring_forward(one)

    def _bring_forward(self, one: Pass) -> None:
        retraining = self._running.get(one.id)
        result = retraining.poll() if retraining else None
        if retraining is not None and result is None:
            return
        self._running.pop(one.id, None)
        published = self._published_by(one)
        if result is None or (result.status is Status.FAILED and published is not None):
            # Whoever trained died, or its process did, and before it could say what it had published.
            result = None if published is None else _found(published)
        if result is None:
            self._begin(one)
        else:
            self._finish(one, result)

    def _begin(self, one: Pass) -> None:
        attempts = int(one.outcome.get("attempts", 0)) + 1
        if attempts > _MOST_ATTEMPTS:
            why = f"the training was begun {_MOST_ATTEMPTS} times and its controller died each time"
            self._finish(one, Result(status=Status.FAILED, version=None, why=why, evidence={}))
            return
        if attempts > 1:
            self._journal.write(
                Action.UNDONE,
                model=one.model,
                subject=one.trigger.value,
                why="the controller that trained is gone; the training begins anew",
                key=f"{one.id}:undone:{attempts}",
            )
        self._passes.to_step(one.id, Step.TRAIN, outcome={"attempts": attempts})
        self._running[one.id] = self._trainer.begin(one.model, one.id, RetrainConfig.from_json(one.config))

    def _finish(self, one: Pass, result: Result) -> None:
        """Say what a training run came to, and try what it published."""
        is_first = result.version is not None and self._is_stable(one.model, result.version)
        action = {Status.REFUSED: Action.REFUSED, Status.FAILED: Action.FAILED}.get(result.status, Action.PUBLISHED)
        self._journal.write(
            action,
            model=one.model,
            subject=str(result.version or one.trigger.value),
            why=result.why,
            evidence=result.evidence,
            key=f"{one.id}:trained",
        )
        if result.version is not None and not is_first:
            self._try(ServableId(one.model, result.version), one)
        status = Status.PROMOTED if is_first else result.status
        self._passes.finish(one.id, status, outcome={"why": result.why}, version=result.version)
        if result.version is None and RetrainConfig.from_json(one.config).is_notifying:
            event = Event.REFUSED if result.status is Status.REFUSED else Event.FAILED
            self._tell(event, model=one.model, why=result.why)

    def _try(self, id_: ServableId, one: Pass) -> None:
        """Try what was published, unless that was begun already by a controller that died before it could say so."""
        if any(rollout.candidate == id_.version for rollout in self._rollouts.of_model(id_.model)):
            return
        why = f"trained anew: {one.trigger}"
        self._rollouts.start(id_, self._plan, who=LEADER, why=why)
        self._tell(Event.STARTED, model=id_.model, version=id_.version, why=why)

    def _published_by(self, one: Pass) -> int | None:
        """The version whose lineage names the pass, if there is one."""
        for version in reversed(self._store.versions(one.model)):
            if self._store.manifest(ServableId(one.model, version)).lineage.get("pass_id") == one.id:
                return version
        return None

    def _is_stable(self, model: str, version: int) -> bool:
        release = self._store.release(model)
        return release is not None and release.stable == version

    # -- rollouts --------------------------------------------------------------------------------------------------

    def _bring_rollouts_forward(self) -> None:
        for rollout in self._rollouts.step_all():
            if rollout.status is RolloutStatus.RUNNING:
                if rollout.hold:
                    self._tell(Event.HELD, model=rollout.model, version=rollout.candidate, why=rollout.hold)
                continue
            self._conclude(rollout)

    def _conclude(self, rollout: Rollout) -> None:
        why = rollout.intent.reason if rollout.intent else ""
        is_promoted = rollout.status is RolloutStatus.PROMOTED
        one = self._passes.of_version(rollout.model, rollout.candidate)
        if one is not None and one.status is Status.PUBLISHED:
            self._passes.finish(one.id, Status.PROMOTED if is_promoted else Status.ROLLED_BACK, outcome={"why": why})
        if rollout.status is not RolloutStatus.ABORTED:
            event = Event.PROMOTED if is_promoted else Event.ROLLED_BACK
            self._tell(event, model=rollout.model, version=rollout.candidate, why=why)

    # -- the rest --------------------------------------------------------------------------------------------------

    def _guarded_backup(self, model: str, why: str) -> None:
        """Back up; where that cannot be, say so and go on: a rollback needs the store alone."""
        try:
            self._back_up(why)
        except FairleadError as error:
            _log.error("no backup %s: %s", why, error)
            self._tell(Event.BACKUP_FAILED, model=model, why=str(error))

    def _tell(self, event: Event, *, model: str, why: str, version: int | None = None) -> None:
        release = self._store.release(model)
        versions = {} if release is None else {"stable": release.stable}
        if version is not None and (release is None or version != release.stable):
            versions["candidate"] = version
        told = notification(event, model=model, why=why, version=version, versions=versions)
        for delivery in self._notifier.send(told):
            if not delivery.is_delivered:
                _log.error("%s was not told that %s: %s", delivery.to, told.title, delivery.problem)


def _found(version: int) -> Result:
    why = "published by a training that died before it could say so"
    return Result(status=Status.PUBLISHED, version=version, why=why, evidence={})
