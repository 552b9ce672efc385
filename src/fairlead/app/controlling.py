"""What `fairlead controller` runs: the control plane's loop, put together."""

from __future__ import annotations

import json
import logging
import os
import platform
import secrets
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Engine

from fairlead.app.control import backup_root, kept_days, now_us, open_database, open_journal, places
from fairlead.app.log_files import sweep_logs
from fairlead.app.releases import now, open_mirror, open_writable_store
from fairlead.app.retraining import SubprocessTrainer
from fairlead.app.tensorboard import tidy_training_logs
from fairlead.config import Settings
from fairlead.controller.backup import backup, backups
from fairlead.controller.controller import Controller
from fairlead.controller.journal import Action
from fairlead.controller.lease import Holding
from fairlead.controller.notifier import Notifier
from fairlead.controller.schedule import Schedule
from fairlead.controller.version_retention import delete_versions
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.retention import Records, Retention
from fairlead.rollout.plan import Mode, Plan
from fairlead.store.writable_store import WritableStore

__all__ = ["NEVER", "control", "open_controller", "read_plan", "recipes_of"]

NEVER = "never"
_LOOK_S = 2.0
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 60.0
_TIDY_EVERY = timedelta(hours=1)
_ROLLBACK_TARGETS = 3
_DAY_US = 86_400_000_000
_STEPS = (0.01, 0.1, 0.5)
_log = logging.getLogger(__name__)


def control(
    settings: Settings,
    recipes: Sequence[str],
    *,
    is_once: bool,
    is_child: bool,
    is_confirmed: bool,
    on_look: Callable[[Holding], None],
) -> None:
    """Look after the models until a signal ends it.

    Args:
        settings: where everything is.
        recipes: of the models that can be trained again, as `fairlead train` takes them.
        is_once: take one look and return.
        is_child: end also when the process that started this one does.
        is_confirmed: delete what is old also where it is much at once.
        on_look: told who leads after each look at which that changed.

    Raises:
        FairleadError: for settings that make no sense, and with `is_once` also when the database does not answer.
    """
    over = threading.Event()
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    controller: Controller | None = None
    mirror = open_mirror(settings)
    last: str | None = None
    pause_s = _FIRST_RETRY_S
    while not over.is_set() and not (is_child and os.getppid() != parent):
        try:
            controller = controller or open_controller(settings, recipes, is_confirmed=is_confirmed)
            if mirror is not None:
                mirror.pull()
            holding = controller.look()
        except FairleadError as error:
            if is_once or error.code is not Code.UNAVAILABLE:
                raise
            _log.error("the next look is in %g s: %s", pause_s, error)
            over.wait(pause_s)
            pause_s = min(2 * pause_s, _LAST_RETRY_S)
            continue
        pause_s = _FIRST_RETRY_S
        if holding.holder != last:
            on_look(holding)
            last = holding.holder
        if is_once:
            break
        over.wait(_LOOK_S)
    if controller is not None:
        controller.close()


def open_controller(
    settings: Settings,
    recipes: Sequence[str],
    environ: Mapping[str, str] = os.environ,
    *,
    is_confirmed: bool = False,
) -> Controller:
    """A controller that has not looked yet.

    Raises:
        FairleadError: for a schedule, a plan or an address that makes no sense; UNAVAILABLE.
    """
    schedule = None if settings.schedule == NEVER else Schedule(cron=settings.schedule, zone=settings.schedule_zone)
    known = recipes_of(recipes)
    engine = open_database(settings)
    store = open_writable_store(settings)
    return Controller(
        engine,
        store,
        tuple(known),
        trainer=SubprocessTrainer(settings, known, uses_labels=settings.train_on_labels == "on"),
        plan=read_plan(settings),
        schedule=schedule,
        notifier=Notifier.read(environ, settings.notify),
        back_up=lambda why: _back_up(settings, engine, why),
        tidy=_Tidy(settings, engine, store, is_confirmed=is_confirmed),
        now=now,
        who=f"{platform.node()}:{os.getpid()}:{secrets.token_hex(4)}",
    )


def recipes_of(references: Sequence[str]) -> dict[str, str]:
    """The recipes by the names of their models. A recipe's module is read, its training framework is not."""
    from fairlead.training.recipe import find_recipe  # noqa: PLC0415 - only where something is trained

    return {find_recipe(reference).name: reference for reference in references}


def read_plan(settings: Settings) -> Plan:
    """How what was trained is tried.

    Raises:
        FairleadError: INVALID_ARGUMENT or NOT_FOUND for a plan that cannot be read.
    """
    path = settings.rollout_plan
    if path is None:
        return Plan(mode=Mode.CANARY, weights=_STEPS)
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FairleadError(Code.INVALID_ARGUMENT, f"the plan {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise FairleadError(Code.INVALID_ARGUMENT, f"the plan {path} is no JSON object")
    return Plan.from_json(document)


class _Tidy:
    """Backs up and deletes what was kept long enough, once an hour at most.

    Args:
        settings: how long that is.
        engine: the database.
        store: the versions.
        is_confirmed: whether a person has said that as much may go as there is.
    """

    def __init__(self, settings: Settings, engine: Engine, store: WritableStore, *, is_confirmed: bool) -> None:
        self._is_confirmed = is_confirmed
        self._settings = settings
        self._engine = engine
        self._store = store
        self._retention = Retention(engine, now_us=now_us)
        self._done_at = now() - _TIDY_EVERY

    def __call__(self) -> None:
        if now() - self._done_at < _TIDY_EVERY:
            return
        self._done_at = now()
        self._back_up_if_due()
        tidy_training_logs(self._settings)
        sweep_logs(self._settings)
        for records, days in kept_days(self._settings).items():
            self._sweep(records, days)
        for model in self._store.models():
            if self._store.release(model) is None or self._settings.bucket_url is not None:
                continue
            deleted = delete_versions(
                self._store, model, keep=self._settings.keep_versions, rollback_targets=_ROLLBACK_TARGETS
            )
            for version in deleted:
                open_journal(self._engine).write(
                    Action.DELETED, model=model, subject=str(version), why="newer versions are kept"
                )

    def _sweep(self, records: Records, days: int) -> None:
        """Delete what is old; what a person has to confirm is told, and keeps nothing else from being deleted."""
        try:
            self._retention.sweep(records, ttl_us=days * _DAY_US, is_confirmed=self._is_confirmed)
        except FairleadError as error:
            if error.code is not Code.FAILED_PRECONDITION:
                raise
            _log.error("%s are kept: %s", records, error)

    def _back_up_if_due(self) -> None:
        every = timedelta(hours=self._settings.backup_hours)
        newest = next(iter(backups(backup_root(self._settings))), None)
        if every and (newest is None or now() - newest.at >= every):
            _back_up(self._settings, self._engine, "on schedule")


def _back_up(settings: Settings, engine: Engine, why: str) -> None:
    mirror = open_mirror(settings)
    if mirror is not None:
        mirror.pull_all()
    made = backup(places(settings), backup_root(settings), at=now(), why=why, keep=settings.keep_backups)
    open_journal(engine).write(Action.BACKED_UP, model="", subject=made.directory.name, why=why)
