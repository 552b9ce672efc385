"""The retraining passes on record: one for each thing that sets one off, and how far each came."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import passes
from fairlead.errors import Code, FairleadError

__all__ = ["Pass", "Passes", "Status", "Step", "Trigger"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_IDS = uuid.UUID("b3c2a7de-6a53-4d0e-9c5f-0d6a5f1e7a10")
_KEY_CHARACTERS = 128


class Trigger(enum.StrEnum):
    """What set a pass off."""

    SCHEDULE = "schedule"
    DRIFT = "drift"
    QUALITY = "quality"
    PERSON = "person"


class Step(enum.StrEnum):
    """The steps of a pass, in their order."""

    BEGIN = "begin"
    TRAIN = "train"
    GATE = "gate"
    PUBLISH = "publish"
    REGISTER = "register"
    BACKUP = "backup"
    ROLLOUT = "rollout"
    NOTIFY = "notify"


class Status(enum.StrEnum):
    """What became of a pass."""

    RUNNING = "running"
    PUBLISHED = "published"
    REFUSED = "refused"
    FAILED = "failed"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


_NEXT = {
    Status.RUNNING: frozenset(Status) - {Status.RUNNING},
    Status.PUBLISHED: frozenset({Status.PROMOTED, Status.ROLLED_BACK}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass.

    Attributes:
        id: its name, the same for the same model and key.
        model: of which model.
        trigger: what set it off.
        key: names the occasion, such as the scheduled instant; the same never sets off two.
        step: the last step that was begun.
        status: what became of it.
        config: what it was told.
        outcome: what it came to; empty while it runs.
        version: what it published; None for nothing.
        started_at: in UTC.
        ended_at: in UTC; None while it runs.
    """

    id: str
    model: str
    trigger: Trigger
    key: str
    step: Step
    status: Status
    config: Mapping[str, Any]
    outcome: Mapping[str, Any]
    version: int | None
    started_at: datetime
    ended_at: datetime | None


class Passes:
    """The table of passes. Used by several threads and processes.

    Args:
        engine: where it is.
        now: the clock.
        fence: called in the transaction of each write, before it; raises when the writer has lost the right to.
    """

    def __init__(
        self, engine: Engine, *, now: Callable[[], datetime], fence: Callable[[Connection], None] | None = None
    ) -> None:
        self._engine = engine
        self._now = now
        self._fence = fence

    def begin(self, model: str, trigger: Trigger, key: str, config: Mapping[str, Any]) -> Pass | None:
        """Begin the pass that `key` sets off; None when it was begun before, whatever became of it.

        Raises:
            FairleadError: INVALID_ARGUMENT for a key of more than 128 characters, what `fence` raises, UNAVAILABLE when
                the database does not answer.
        """
        if not 0 < len(key) <= _KEY_CHARACTERS:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"a pass's key has 1 to {_KEY_CHARACTERS} characters, not {len(key)}"
            )
        insert = insert_postgresql if self._engine.dialect.name == "postgresql" else insert_sqlite
        values = {
            "id": str(uuid.uuid5(_IDS, f"{model}\n{key}")),
            "model": model,
            "trigger": trigger.value,
            "key": key,
            "step": Step.BEGIN.value,
            "status": Status.RUNNING.value,
            "config": dict(config),
            "outcome": {},
            "started_us": self._now_us(),
        }
        with database_errors(self._engine), self._engine.begin() as connection:
            self._guard(connection)
            row = connection.execute(
                insert(passes).values(values).on_conflict_do_nothing().returning(passes)
            ).one_or_none()
        return None if row is None else _pass(row)

    def to_step(self, id_: str, step: Step, *, outcome: Mapping[str, Any] | None = None) -> Pass:
        """Note that `step` is begun. A repeat changes nothing.

        Args:
            id_: which.
            step: the one that begins.
            outcome: what is known by now, added to what is there.

        Raises:
            FairleadError: NOT_FOUND, FAILED_PRECONDITION when the pass has ended, what `fence` raises, UNAVAILABLE.
        """
        return self._change(id_, frozenset({Status.RUNNING}), {"step": step.value}, outcome)

    def finish(
        self, id_: str, status: Status, *, outcome: Mapping[str, Any] | None = None, version: int | None = None
    ) -> Pass:
        """End the pass. One that published may end once more, by its rollout. A repeat changes nothing.

        Args:
            id_: which.
            status: what became of it.
            outcome: what it came to, added to what is there.
            version: what it published; None leaves it as it is.

        Raises:
            FairleadError: NOT_FOUND, FAILED_PRECONDITION when it has ended otherwise, what `fence` raises, UNAVAILABLE.
        """
        allowed = frozenset(before for before, after in _NEXT.items() if status in after)
        changes: dict[str, Any] = {"status": status.value, "ended_us": self._now_us()}
        if version is not None:
            changes["version"] = version
        return self._change(id_, allowed, changes, outcome or {})

    def find(self, id_: str) -> Pass:
        """The pass, else NOT_FOUND."""
        with database_errors(self._engine), reading(self._engine) as connection:
            return _pass(_row(connection, id_))

    def unfinished(self, model: str | None = None) -> tuple[Pass, ...]:
        """Those that run, or ran when their controller died, oldest first."""
        query = select(passes).where(passes.c.status == Status.RUNNING.value).order_by(passes.c.started_us, passes.c.id)
        if model is not None:
            query = query.where(passes.c.model == model)
        with database_errors(self._engine), reading(self._engine) as connection:
            return tuple(_pass(row) for row in connection.execute(query))

    def of_version(self, model: str, version: int) -> Pass | None:
        """The pass that published `version`; None when none did."""
        query = select(passes).where(passes.c.model == model, passes.c.version == version)
        with database_errors(self._engine), reading(self._engine) as connection:
            row = connection.execute(query.order_by(passes.c.started_us.desc()).limit(1)).one_or_none()
        return None if row is None else _pass(row)

    def last_key(self, model: str, trigger: Trigger) -> str | None:
        """The greatest key of the model's passes with this trigger: of scheduled ones, that of the newest instant."""
        query = select(passes.c.key).where(passes.c.model == model, passes.c.trigger == trigger.value)
        with database_errors(self._engine), reading(self._engine) as connection:
            return max(connection.scalars(query), default=None)

    def _change(
        self, id_: str, allowed: frozenset[Status], changes: Mapping[str, Any], outcome: Mapping[str, Any] | None = None
    ) -> Pass:
        with database_errors(self._engine), self._engine.begin() as connection:
            self._guard(connection)
            before = _pass(_row(connection, id_, locked=True))
            if before.status.value == changes.get("status"):
                return before
            if before.status not in allowed:
                raise FairleadError(
                    Code.FAILED_PRECONDITION,
                    f"the pass {id_} of {before.model} is {before.status} and cannot become "
                    f"{changes.get('status', changes.get('step'))} any more",
                    hint=f"fairlead history {before.model}",
                )
            values = {**changes, **({"outcome": {**before.outcome, **outcome}} if outcome else {})}
            return _pass(
                connection.execute(update(passes).where(passes.c.id == id_).values(values).returning(passes)).one()
            )

    def _guard(self, connection: Connection) -> None:
        if self._fence:
            self._fence(connection)

    def _now_us(self) -> int:
        return (self._now() - _EPOCH) // timedelta(microseconds=1)


def _row(connection: Connection, id_: str, *, locked: bool = False) -> Row[Any]:
    query = select(passes).where(passes.c.id == id_)
    row = connection.execute(query.with_for_update() if locked else query).one_or_none()
    if row is None:
        raise FairleadError(Code.NOT_FOUND, f"there is no pass {id_!r}")
    return row


def _pass(row: Row[Any]) -> Pass:
    return Pass(
        id=row.id,
        model=row.model,
        trigger=Trigger(row.trigger),
        key=row.key,
        step=Step(row.step),
        status=Status(row.status),
        config=row.config,
        outcome=row.outcome,
        version=row.version,
        started_at=_EPOCH + timedelta(microseconds=row.started_us),
        ended_at=None if row.ended_us is None else _EPOCH + timedelta(microseconds=row.ended_us),
    )
