"""Who did what, when, why and on what evidence: lines that are added and never changed."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import journal
from fairlead.errors import Code, FairleadError

__all__ = ["Action", "Entry", "Journal"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME_CHARACTERS = 128
_WHY_CHARACTERS = 4000
_CUT = " [cut]"


class Action(enum.StrEnum):
    """What was done."""

    LED = "led"
    """A controller took the lead."""
    ALARMED = "alarmed"
    """What a version is asked has changed, or its answers have become worse."""
    TRIGGERED = "triggered"
    """A retraining was set off."""
    TRAINED = "trained"
    REFUSED = "refused"
    """The gate said no."""
    FAILED = "failed"
    """A retraining ended in an error."""
    PUBLISHED = "published"
    STARTED = "started"
    """A rollout began."""
    STEPPED = "stepped"
    """A candidate was given another weight."""
    HELD = "held"
    """A rollout waits: what is known does not suffice."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    ABORTED = "aborted"
    """A rollout was ended without a verdict."""
    BACKED_UP = "backed_up"
    RESTORED = "restored"
    DELETED = "deleted"
    """What retention took away."""
    NOTIFIED = "notified"
    LABELLED = "labelled"
    """A person said what the truth of a prediction was."""
    UNDONE = "undone"
    """What a killed controller left half done was taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the journal.

    Attributes:
        seq: its place; later ones are larger.
        at: when, in UTC.
        who: a person, or the controller.
        action: the word of an `Action`; a newer Fairlead may know more of them.
        model: of which model; empty for what concerns all.
        subject: what it was done to: a version, a rollout, a backup.
        why: for people.
        evidence: what `why` rests on.
        key: names a step that may be tried again but happens once; None for what needs no such name.
    """

    seq: int
    at: datetime
    who: str
    action: str
    model: str
    subject: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None

    @property
    def line(self) -> str:
        """For people.

        >>> Entry(seq=1, at=datetime(2026, 3, 2, 2, tzinfo=UTC), who="controller", action=Action.ROLLED_BACK,
        ...       model="digits", subject="4", why="accuracy fell").line
        '2026-03-02 02:00:00  rolled back  digits 4  by controller: accuracy fell'
        """
        what = " ".join(part for part in (self.model, self.subject) if part)
        why = f": {' '.join(self.why.split())}" if self.why else ""
        return f"{self.at:%Y-%m-%d %H:%M:%S}  {self.action.replace('_', ' ')}  {what}  by {self.who}{why}"

    def to_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return {
            "seq": self.seq,
            "at": self.at.isoformat(timespec="microseconds"),
            "who": self.who,
            "action": str(self.action),
            "model": self.model,
            "subject": self.subject,
            "why": self.why,
            "evidence": dict(self.evidence),
        }


class Journal:
    """The journal in a database. Entries are added; nothing here changes or removes one. Used by several threads.

    Args:
        engine: where it is.
        now: the clock.
        who: whose entries it writes.
        fence: called in the transaction of each write, before it; raises when the writer has lost the right to.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        now: Callable[[], datetime],
        who: str,
        fence: Callable[[Connection], None] | None = None,
    ) -> None:
        self._engine = engine
        self._now = now
        self._who = _name("who", who)
        self._fence = fence

    def write(
        self,
        action: Action,
        *,
        model: str,
        subject: str = "",
        why: str = "",
        evidence: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Entry:
        """Add an entry, once for each key: a repeat writes nothing and returns the first.

        A reason of more than 4,000 characters is cut, and says so. In the evidence, numbers that are not finite become
        their names, since JSON has none for them.

        Raises:
            FairleadError: INVALID_ARGUMENT for a name of more than 128 characters or evidence that is no JSON, what
                `fence` raises, UNAVAILABLE when the database does not answer.
        """
        values = {
            "at_us": (self._now() - _EPOCH) // timedelta(microseconds=1),
            "who": self._who,
            "action": action.value,
            "model": _name("model", model),
            "subject": _name("subject", subject),
            "why": _reason(why),
            "evidence": _plain(evidence or {}, "evidence"),
            "key": None if key is None else _name("key", key),
        }
        insert = insert_postgresql if self._engine.dialect.name == "postgresql" else insert_sqlite
        with database_errors(self._engine), self._engine.begin() as connection:
            if self._fence:
                self._fence(connection)
            row = connection.execute(
                insert(journal).values(values).on_conflict_do_nothing(index_elements=["key"]).returning(journal)
            ).one_or_none()
            return _entry(row or connection.execute(select(journal).where(journal.c.key == key)).one())

    def read(self, model: str | None = None, *, limit: int = 50, after: int | None = None) -> tuple[Entry, ...]:
        """The newest entries first.

        Args:
            model: of this one alone; None for all.
            limit: how many at most.
            after: the `seq` of the last entry of the page before.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer.
        """
        query = select(journal).order_by(journal.c.seq.desc()).limit(limit)
        if model is not None:
            query = query.where(journal.c.model == model)
        if after is not None:
            query = query.where(journal.c.seq < after)
        with database_errors(self._engine), reading(self._engine) as connection:
            return tuple(_entry(row) for row in connection.execute(query))


def _entry(row: Row[Any]) -> Entry:
    at = _EPOCH + timedelta(microseconds=row.at_us)
    return Entry(
        seq=row.seq,
        at=at,
        who=row.who,
        action=row.action,
        model=row.model,
        subject=row.subject,
        why=row.why,
        evidence=row.evidence,
        key=row.key,
    )


def _name(what: str, text: str) -> str:
    if len(text) > _NAME_CHARACTERS:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{what} has {len(text)} characters in the journal, at most {_NAME_CHARACTERS}: {text[:40]!r}...",
        )
    return _storable(text)


def _reason(why: str) -> str:
    why = _storable(why)
    return why if len(why) <= _WHY_CHARACTERS else why[: _WHY_CHARACTERS - len(_CUT)] + _CUT


def _storable(text: str) -> str:
    """What no database takes, NUL and halves of surrogate pairs, is shown as unknown."""
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain(value: Any, where: str) -> Any:
    """`value` as JSON has it, or INVALID_ARGUMENT naming the place."""
    if isinstance(value, str):
        return _storable(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {_storable(str(key)): _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{place}]") for place, item in enumerate(value)]
    raise FairleadError(Code.INVALID_ARGUMENT, f"{where} is a {type(value).__name__}, which JSON does not have")
