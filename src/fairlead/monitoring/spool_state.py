"""How far a spool is shipped: written in the same transaction as the rows, so that the two never disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from fairlead.database.engine import insert
from fairlead.database.schema import spools
from fairlead.monitoring.position import Position

__all__ = ["MAX_SPOOL_NAME", "SpoolState", "all_states", "read_state", "write_state"]

MAX_SPOOL_NAME = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolState:
    """How far a spool is shipped.

    Attributes:
        spool: its name.
        position: what is shipped next.
        dropped: files of it that were given up before they were shipped.
        dead: rows and tallies that no database takes.
        shipped_us: the time of the newest row that was shipped; 0 for none.
    """

    spool: str
    position: Position
    dropped: int
    dead: int
    shipped_us: int


def read_state(connection: Connection, spool: str) -> SpoolState:
    """The spool's state; that of a spool that was never shipped begins at byte 0 of file 0."""
    row = connection.execute(select(spools).where(spools.c.spool == spool)).one_or_none()
    if row is None:
        return SpoolState(spool=spool, position=Position(), dropped=0, dead=0, shipped_us=0)
    return _state(row)


def all_states(connection: Connection) -> list[SpoolState]:
    """Every spool's state, in the order of their names."""
    return [_state(row) for row in connection.execute(select(spools).order_by(spools.c.spool))]


def write_state(connection: Connection, state: SpoolState) -> None:
    """Put `state` in the place of the one before it."""
    values = {
        "file": state.position.file,
        "position": state.position.position,
        "dropped": state.dropped,
        "dead": state.dead,
        "shipped_us": state.shipped_us,
    }
    statement = insert(connection, spools).values(spool=state.spool, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["spool"], set_=values))


def _state(row: Any) -> SpoolState:
    return SpoolState(
        spool=row.spool,
        position=Position(file=row.file, position=row.position),
        dropped=row.dropped,
        dead=row.dead,
        shipped_us=row.shipped_us,
    )
