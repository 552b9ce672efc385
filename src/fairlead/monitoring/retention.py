"""Deletes what was kept long enough, a little at a time, and not because a clock jumped."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Table, delete, func, select, tuple_

from fairlead.database.engine import database_errors, insert, reading
from fairlead.database.schema import dead_letters, labels, payloads, predictions, retention, tallies
from fairlead.errors import Code, FairleadError

__all__ = ["MAX_SHARE", "Records", "Retention", "Swept"]

MAX_SHARE = 0.2
"""More than this is deleted in one run only after a person confirmed it, unless the last run was lately."""

_DAY_US = 86_400_000_000
_MINUTE_US = 60_000_000
_BATCH_ROWS = 1_000
_REST_S = 0.02


class Records(enum.StrEnum):
    """A class of data that is kept for a time of its own."""

    PREDICTIONS = "predictions"
    PAYLOADS = "payloads"
    LABELS = "labels"
    TALLIES = "tallies"
    DEAD_LETTERS = "dead_letters"


_TABLES = {
    Records.PREDICTIONS: predictions,
    Records.PAYLOADS: payloads,
    Records.LABELS: labels,
    Records.TALLIES: tallies,
    Records.DEAD_LETTERS: dead_letters,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a run did.

    Attributes:
        records: the class of data.
        deleted: rows that are gone.
        oldest_us: the time of the oldest row that is left; None when nothing is.
        is_overwritten: whether nothing of what was deleted is left in SQLite's files. False while somebody reads:
            the next run makes it good. On PostgreSQL the space is overwritten when the server sees fit.
    """

    records: Records
    deleted: int
    oldest_us: int | None
    is_overwritten: bool


class Retention:
    """Sweeps one class of data at a time. A sweep that is killed is finished by the next.

    Args:
        engine: a migrated database.
        now_us: the clock.
        rest: called with seconds between two batches, so that others get to write.
    """

    def __init__(
        self, engine: Engine, *, now_us: Callable[[], int], rest: Callable[[float], object] = time.sleep
    ) -> None:
        self._engine = engine
        self._now_us = now_us
        self._rest = rest

    def sweep(self, records: Records, *, ttl_us: int, is_confirmed: bool = False) -> Swept:
        """Delete what is older than `ttl_us`.

        Args:
            records: what.
            ttl_us: how long it is kept.
            is_confirmed: whether a person has said that so much may go.

        Raises:
            FairleadError: FAILED_PRECONDITION, with nothing deleted, when more than `MAX_SHARE` of the rows would go
                and the boundary moved by more than a day since the last run: the clock jumped, or `ttl_us` is
                another. UNAVAILABLE when the database does not answer.
        """
        if ttl_us <= 0:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{records} cannot be kept for {ttl_us} us")
        cutoff_us = self._now_us() - ttl_us
        with database_errors(self._engine):
            if not is_confirmed:
                self._check(records, cutoff_us)
            deleted = self._delete(_TABLES[records], _is_older(records, cutoff_us))
            self._remember(records, cutoff_us)
            is_overwritten = self._overwrite()
        return Swept(records=records, deleted=deleted, oldest_us=self.oldest_us(records), is_overwritten=is_overwritten)

    def oldest_us(self, records: Records) -> int | None:
        """The time of the oldest row; None when there is none."""
        with database_errors(self._engine), reading(self._engine) as connection:
            oldest: int | None = connection.execute(select(func.min(_time(records)))).scalar()
        return oldest and oldest * (_MINUTE_US if records is Records.TALLIES else 1)

    def _check(self, records: Records, cutoff_us: int) -> None:
        table = _TABLES[records]
        with reading(self._engine) as connection:
            query = select(retention.c.cutoff_us).where(retention.c.records == records.value)
            last_us: int | None = connection.execute(query).scalar()
            if last_us is not None and cutoff_us - last_us <= _DAY_US:
                return
            rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
            old = select(func.count()).select_from(table).where(_is_older(records, cutoff_us))
            doomed = connection.execute(old).scalar_one()
        if doomed > MAX_SHARE * rows:
            since = "there was no run before" if last_us is None else _moved(cutoff_us - last_us)
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"retention would delete {doomed:,} of {rows:,} {records}, and {since}; nothing was deleted",
                hint="look at the clock and their time to live; then fairlead controller --once --confirm-deletion",
            )

    def _delete(self, table: Table, is_older: ColumnElement[bool]) -> int:
        key = tuple_(*table.primary_key)
        some = select(*table.primary_key).where(is_older).limit(_BATCH_ROWS)
        deleted = 0
        while True:
            with self._engine.begin() as connection:
                gone = connection.execute(delete(table).where(key.in_(some))).rowcount
            deleted += gone
            if gone < _BATCH_ROWS:
                return deleted
            self._rest(_REST_S)

    def _remember(self, records: Records, cutoff_us: int) -> None:
        with self._engine.begin() as connection:
            statement = insert(connection, retention).values(records=records.value, cutoff_us=cutoff_us)
            connection.execute(
                statement.on_conflict_do_update(index_elements=["records"], set_={"cutoff_us": cutoff_us})
            )

    def _overwrite(self) -> bool:
        """Write SQLite's log back and empty it: what was deleted stands overwritten in it, and as it was before."""
        if self._engine.dialect.name != "sqlite":
            return True
        with self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            is_busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy


def _time(records: Records) -> ColumnElement[int]:
    table = _TABLES[records]
    return table.c.minute if records is Records.TALLIES else table.c.at_us


def _is_older(records: Records, cutoff_us: int) -> ColumnElement[bool]:
    return _time(records) < (cutoff_us // _MINUTE_US if records is Records.TALLIES else cutoff_us)


def _moved(by_us: int) -> str:
    return f"the boundary moved by {by_us / _DAY_US:,.1f} days since the last run"
