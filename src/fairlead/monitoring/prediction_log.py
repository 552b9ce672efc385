"""The prediction log: rows moved from spools into the database exactly once, and read from there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, func, select

from fairlead.database.engine import Turn, database_errors, reading, writing
from fairlead.database.schema import payloads, predictions, tallies
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.position import Position
from fairlead.monitoring.prediction import Arm, PredictionRow, Tally
from fairlead.monitoring.shipping import add_rows, add_tallies, bury, sum_counts
from fairlead.monitoring.spool_state import MAX_SPOOL_NAME, SpoolState, all_states, read_state, write_state

__all__ = ["Count", "LoggedRow", "PredictionLog"]

_MINUTE_US = 60_000_000
_IDS_AT_ONCE = 5_000  # SQLite takes 32,766 parameters a statement, PostgreSQL 65,535


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRow:
    """A row and its number, in the order in which rows were shipped. `inputs` is always None: ask `payloads`."""

    seq: int
    row: PredictionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Exact counts of one version in one arm, as in `Tally`."""

    version: int
    arm: str
    rows: int
    errors: int
    latency: tuple[int, ...]


class PredictionLog:
    """The tables behind the log. Threads and processes may share it.

    Args:
        engine: a migrated database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def position(self, spool: str) -> Position:
        """What of `spool` is shipped next: byte 0 of file 0 for a spool that was never shipped."""
        with database_errors(self._engine), reading(self._engine) as connection:
            return read_state(connection, spool).position

    def spools(self) -> list[SpoolState]:
        """How far each spool is, in the order of their names."""
        with database_errors(self._engine), reading(self._engine) as connection:
            return all_states(connection)

    def ship(
        self,
        spool: str,
        rows: Sequence[PredictionRow],
        tallies: Sequence[Tally],
        *,
        begin: Position,
        end: Position,
        dropped: int,
    ) -> int:
        """Move a piece of a spool into the database: all of it in one transaction, or nothing.

        Whatever goes wrong, ask `position` and go on from there. Then each piece is in the database exactly once,
        even where it stayed unknown whether a commit arrived. A row that no database takes goes to `dead_letters`,
        is counted, and holds up nobody.

        Args:
            spool: its name, at most 128 characters.
            rows: the predictions between `begin` and `end`; one whose id and arm are there already is left out.
            tallies: their exact counts, added to what the spool counted before.
            begin: where the piece begins: what `position` says.
            end: where the next piece begins.
            dropped: files given up between `begin` and `end`, added to those before.

        Returns:
            How many rows are new.

        Raises:
            FairleadError: ABORTED when the spool is shipped up to somewhere else than `begin`, INVALID_ARGUMENT for
                an `end` before `begin`, UNAVAILABLE when the database does not answer.
        """
        _check(spool, begin, end, dropped)
        with database_errors(self._engine), writing(self._engine, Turn.LOG) as connection:
            state = read_state(connection, spool)
            if state.position != begin:
                raise FairleadError(
                    Code.ABORTED,
                    f"{spool} is shipped up to {state.position}, not {begin}: somebody else ships it",
                    hint="go on from its position",
                )
            added = add_rows(connection, rows)
            dead = [*added.dead, *add_tallies(connection, spool, tallies)]
            bury(connection, spool, dead)
            write_state(
                connection,
                replace(
                    state,
                    position=end,
                    dropped=state.dropped + dropped,
                    dead=state.dead + len(dead),
                    shipped_us=max(state.shipped_us, added.newest_us),
                ),
            )
        return added.rows

    def last(self) -> int:
        """The number of the newest row of all models; 0 when there is none."""
        with database_errors(self._engine), reading(self._engine) as connection:
            return connection.execute(select(func.max(predictions.c.seq))).scalar() or 0

    def after(self, model: str, seq: int, *, limit: int = 1_000) -> list[LoggedRow]:
        """The next rows of `model` after number `seq`, at most `limit`. Who goes on after the last misses none."""
        query = select(predictions).where(predictions.c.model == model, predictions.c.seq > seq)
        return self._rows(query.order_by(predictions.c.seq).limit(limit))

    def newest(
        self,
        model: str,
        *,
        limit: int = 100,
        version: int | None = None,
        arm: str | None = None,
        before: int | None = None,
    ) -> list[LoggedRow]:
        """The rows of `model`, or of one version or arm of it, that were shipped last, the newest first.

        Of a longer list `before`, the number of the last row of one page, gives the next.
        """
        query = select(predictions).where(predictions.c.model == model)
        if before is not None:
            query = query.where(predictions.c.seq < before)
        if version is not None:
            query = query.where(predictions.c.version == version)
        if arm is not None:
            query = query.where(predictions.c.arm == arm)
        return self._rows(query.order_by(predictions.c.seq.desc()).limit(limit))

    def find(self, id_: str) -> LoggedRow | None:
        """The row of that id that a caller was given, else its copy by a shadow; None when neither is there."""
        found = self._rows(select(predictions).where(predictions.c.id == id_))
        return min(found, key=lambda one: one.row.arm == Arm.SHADOW, default=None)

    def payloads(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The inputs of these predictions, as `.npz`, where they were kept."""
        found: dict[str, bytes] = {}
        with database_errors(self._engine), reading(self._engine) as connection:
            for start in range(0, len(ids), _IDS_AT_ONCE):
                some = payloads.c.prediction_id.in_(ids[start : start + _IDS_AT_ONCE])
                query = select(payloads.c.prediction_id, payloads.c.inputs).where(some)
                found.update((id_, inputs) for id_, inputs in connection.execute(query))
        return found

    def tallies(self, model: str, *, since_us: int, until_us: int) -> list[Tally]:
        """The exact counts of each minute that begins in the window, of all spools together, in order of time."""
        window = tallies.c.minute.between(-(-since_us // _MINUTE_US), -(-until_us // _MINUTE_US) - 1)
        query = select(tallies).where(tallies.c.model == model, window)
        with database_errors(self._engine), reading(self._engine) as connection:
            found = sum_counts(
                (dict(row) for row in connection.execute(query).mappings()), ("minute", "model", "version", "arm")
            )
        return [Tally(**{**sums, "latency": tuple(sums["latency"])}) for sums in found]

    def counts(self, model: str, *, since_us: int, until_us: int) -> list[Count]:
        """The exact counts of each version and arm in the minutes that begin in the window."""
        minutes = [dataclasses.asdict(tally) for tally in self.tallies(model, since_us=since_us, until_us=until_us)]
        return [
            Count(**{**sums, "latency": tuple(sums["latency"])}) for sums in sum_counts(minutes, ("version", "arm"))
        ]

    def _rows(self, query: Any) -> list[LoggedRow]:
        with database_errors(self._engine), reading(self._engine) as connection:
            return [_logged(row) for row in connection.execute(query)]


def _check(spool: str, begin: Position, end: Position, dropped: int) -> None:
    if not 0 < len(spool) <= MAX_SPOOL_NAME or "\0" in spool:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{spool!r} is no spool's name: 1 to {MAX_SPOOL_NAME} characters")
    if end < begin or dropped < 0:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"a piece of {spool} cannot run from {begin} to {end}, {dropped} dropped",
        )


def _logged(row: Any) -> LoggedRow:
    values = {
        field.name: getattr(row, field.name) for field in dataclasses.fields(PredictionRow) if field.name != "inputs"
    }
    return LoggedRow(seq=row.seq, row=PredictionRow(**values))
