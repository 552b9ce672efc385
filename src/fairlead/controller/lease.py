"""One leader at a time: a row in the database that must be renewed, and a token that tells leaders apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, bindparam, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import leases
from fairlead.errors import Code, FairleadError

__all__ = ["LEADER", "LONGEST_S", "TTL_S", "Holding", "Lease"]

LEADER = "controller"
"""The lease of the controller that leads."""
TTL_S = 15.0
"""How long a lease lasts unless somebody says otherwise."""
LONGEST_S = 300.0
"""The longest time for which a lease is given; one that claims more was written while a clock was ahead."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOBODY = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Who holds a lease and until when.

    Attributes:
        name: what for.
        holder: who.
        token: grows with each holder; what was decided under a smaller one is out of date.
        until: when it ends unless it is renewed, by the database's clock.
        is_mine: whether the one who asked is the holder.
    """

    name: str
    holder: str
    token: int
    until: datetime
    is_mine: bool

    def __str__(self) -> str:
        return f"{self.holder} holds {self.name!r} until {self.until:%Y-%m-%d %H:%M:%S} UTC"


class Lease:
    """A lease as one of those sees it who want to hold it.

    It lasts `ttl_s` and is renewed by its holder, a few times within that; when the holder dies, another takes it after
    its end, under the next token. Time is the database's on PostgreSQL and the machine's on SQLite. What only the
    holder may write is written in a transaction that calls `check` first: no other can take the lease before that
    transaction ends. May be used by several threads.

    Args:
        engine: where the row is.
        name: what for.
        holder: who asks; no two processes use the same.
        ttl_s: how long it lasts, above 0 and at most `LONGEST_S`.
        now: the machine's clock, for SQLite.

    Raises:
        FairleadError: INVALID_ARGUMENT for a `ttl_s` out of range.
    """

    def __init__(
        self, engine: Engine, *, name: str, holder: str, now: Callable[[], datetime], ttl_s: float = TTL_S
    ) -> None:
        if not 0.0 < ttl_s <= LONGEST_S:
            raise FairleadError(Code.INVALID_ARGUMENT, f"a lease of {ttl_s} s is not above 0 and up to {LONGEST_S:g} s")
        self._engine = engine
        self._name = name
        self._holder = holder
        self._now = now
        self._ttl_us = int(ttl_s * 1e6)
        self._token = _NOBODY

    def acquire(self) -> Holding:
        """Take the lease if nobody holds it. The answer says who holds it now.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer.
        """
        insert = insert_postgresql if self._is_postgresql else insert_sqlite
        with database_errors(self._engine), self._engine.begin() as connection:
            clock = self._clock()
            taken = connection.execute(
                insert(leases)
                .values(name=self._name, holder=self._holder, token=1, expires_us=clock + self._ttl_us)
                .on_conflict_do_update(
                    index_elements=[leases.c.name],
                    set_={"holder": self._holder, "token": leases.c.token + 1, "expires_us": clock + self._ttl_us},
                    where=or_(leases.c.expires_us <= clock, leases.c.expires_us > clock + int(LONGEST_S * 1e6)),
                )
                .returning(leases)
            ).one_or_none()
            row = taken or connection.execute(select(leases).where(leases.c.name == self._name)).one()
        if taken:
            self._token = taken.token
        return self._holding(row)

    def renew(self) -> Holding:
        """Hold it for another `ttl_s`; also after its end, so long as nobody else took it.

        Raises:
            FairleadError: ABORTED naming the new holder when it was lost, UNAVAILABLE when the database is gone.
        """
        with database_errors(self._engine), self._engine.begin() as connection:
            row = connection.execute(
                update(leases).where(self._is_mine()).values(expires_us=self._clock() + self._ttl_us).returning(leases)
            ).one_or_none()
            if row is None:
                raise self._lost(connection)
        return self._holding(row)

    def release(self) -> None:
        """Let another take it at once. Does nothing when it was lost already.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer; then it ends by itself.
        """
        with database_errors(self._engine), self._engine.begin() as connection:
            connection.execute(update(leases).where(self._is_mine()).values(expires_us=0))
        self._token = _NOBODY

    def check(self, connection: Connection) -> None:
        """Raise unless the lease is held and has not ended; it stays held until the connection's transaction ends.

        Raises:
            FairleadError: ABORTED naming the new holder, or saying that it ended.
        """
        row = connection.execute(
            select(leases, (leases.c.expires_us > self._clock()).label("is_running"))
            .where(self._is_mine())
            .with_for_update(read=True)
        ).one_or_none()
        if row is None:
            raise self._lost(connection)
        if not row.is_running:
            raise FairleadError(
                Code.ABORTED,
                f"the lease {self._name!r} of {self._holder} ended at {_time(row.expires_us):%H:%M:%S} UTC "
                "before what it was held for was written",
            )

    def look(self) -> Holding | None:
        """Who holds it, or held it last; None when nobody ever did.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer.
        """
        with database_errors(self._engine), reading(self._engine) as connection:
            row = connection.execute(select(leases).where(leases.c.name == self._name)).one_or_none()
        return None if row is None else self._holding(row)

    @property
    def _is_postgresql(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    def _clock(self) -> ColumnElement[int]:
        """The time in microseconds, read when the row is at hand: a statement may have waited for it."""
        if self._is_postgresql:
            return literal_column("(extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
        # A transaction on SQLite that writes begins with the lock in hand, so that nothing waits from here on.
        return bindparam(None, (self._now() - _EPOCH) // timedelta(microseconds=1), leases.c.expires_us.type)

    def _is_mine(self) -> ColumnElement[bool]:
        return (leases.c.name == self._name) & (leases.c.holder == self._holder) & (leases.c.token == self._token)

    def _holding(self, row: Row[Any]) -> Holding:
        return Holding(
            name=row.name,
            holder=row.holder,
            token=row.token,
            until=_time(row.expires_us),
            is_mine=row.holder == self._holder and row.token == self._token,
        )

    def _lost(self, connection: Connection) -> FairleadError:
        row = connection.execute(select(leases).where(leases.c.name == self._name)).one_or_none()
        now_held = f"; {self._holding(row)}" if row else ""
        return FairleadError(Code.ABORTED, f"{self._holder} no longer holds the lease {self._name!r}{now_held}")


def _time(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
