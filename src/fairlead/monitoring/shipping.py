"""What one shipment writes: rows, counts, and a note of each that no database takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError, StatementError

from fairlead.database.engine import insert
from fairlead.database.schema import dead_letters, payloads, predictions, tallies
from fairlead.monitoring.prediction import PredictionRow, Tally
from fairlead.monitoring.storable import storable_row, storable_tally

__all__ = ["Added", "Dead", "add_rows", "add_tallies", "bury", "sum_counts"]

_MAX_DEAD_LETTER = 4_000
_MAX_INTEGER = 2**63 - 1
_MINUTE_US = 60_000_000
_NO_ROW = (ValueError, TypeError, AttributeError, OverflowError)  # what comes of a value that is not what it should be

Stored = tuple[PredictionRow, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead:
    """A row or a tally that no database takes, and why."""

    record: PredictionRow | Tally
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of rows: how many are new, the time of the newest that could be stored, and those that could not."""

    rows: int
    newest_us: int
    dead: list[Dead]


def add_rows(connection: Connection, rows: Iterable[PredictionRow]) -> Added:
    """Insert what is new of the rows."""
    good: list[Stored] = []
    dead: list[Dead] = []
    for row in rows:
        try:
            good.append((row, storable_row(row)))
        except _NO_ROW as error:
            dead.append(Dead(record=row, reason=str(error)))
    added, refused = _insert(connection, good)
    newest_us = max((values["at_us"] for _, values in good), default=0)
    return Added(rows=added, newest_us=newest_us, dead=[*dead, *refused])


def add_tallies(connection: Connection, spool: str, counts: Iterable[Tally]) -> list[Dead]:
    """Add the counts to what the spool counted before.

    Returns:
        Those that cannot be stored.
    """
    good: list[Mapping[str, Any]] = []
    dead: list[Dead] = []
    for tally in counts:
        try:
            good.append(storable_tally(tally))
        except _NO_ROW as error:
            dead.append(Dead(record=tally, reason=str(error)))
    if good:
        sums = sum_counts([*_counted(connection, spool, good), *good], ("minute", "model", "version", "arm"))
        statement = insert(connection, tallies)
        changed = {name: statement.excluded[name] for name in ("rows", "errors", "latency")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=list(tallies.primary_key), set_=changed),
            [{"spool": spool, **values} for values in sums],
        )
    return dead


def bury(connection: Connection, spool: str, dead: Sequence[Dead]) -> None:
    """Note each in `dead_letters`, in ASCII, which every database takes."""
    notes = [
        {
            "spool": spool,
            "at_us": _time_us(one.record),
            "reason": ascii(one.reason)[1:-1],
            "row": ascii(_without_inputs(one.record))[:_MAX_DEAD_LETTER],
        }
        for one in dead
    ]
    if notes:
        connection.execute(dead_letters.insert(), notes)


def sum_counts(counts: Iterable[Mapping[str, Any]], key: tuple[str, ...]) -> list[dict[str, Any]]:
    """One record for each value of `key`, in their order, with the sums of `rows`, `errors` and `latency`.

    >>> row = {"version": 3, "rows": 2, "errors": 0, "latency": [1, 1]}
    >>> sum_counts([row, row], ("version",))
    [{'version': 3, 'rows': 4, 'errors': 0, 'latency': [2, 2]}]
    """
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for count in counts:
        values = tuple(count[name] for name in key)
        total = sums.setdefault(values, {**dict(zip(key, values, strict=True)), "rows": 0, "errors": 0, "latency": []})
        total["rows"] += count["rows"]
        total["errors"] += count["errors"]
        total["latency"] = [a + b for a, b in zip_longest(total["latency"], count["latency"], fillvalue=0)]
    return [sums[values] for values in sorted(sums)]


def _insert(connection: Connection, rows: Sequence[Stored]) -> tuple[int, list[Dead]]:
    """Insert the rows; where the database refuses, halve them until the row that it refuses is alone."""
    if not rows:
        return 0, []
    try:
        with connection.begin_nested():
            return _insert_all(connection, rows), []
    except (StatementError, *_NO_ROW) as error:
        if isinstance(error, DBAPIError) and not _is_the_rows(error):
            raise
        if len(rows) == 1:
            return 0, [Dead(record=rows[0][0], reason=str(error.orig if isinstance(error, DBAPIError) else error))]
    half = len(rows) // 2
    first, second = _insert(connection, rows[:half]), _insert(connection, rows[half:])
    return first[0] + second[0], [*first[1], *second[1]]


def _is_the_rows(error: DBAPIError) -> bool:
    """Whether a row is the trouble, not the database: a value that a column, or the driver, has no place for."""
    if isinstance(error, DataError | IntegrityError):
        return True
    return isinstance(error, ProgrammingError | InterfaceError) and getattr(error.orig, "sqlstate", None) is None


def _insert_all(connection: Connection, rows: Sequence[Stored]) -> int:
    statement = insert(connection, predictions).on_conflict_do_nothing(index_elements=["id", "arm"])
    values = [values for _, values in rows]
    added = connection.execute(statement, values, execution_options={"preserve_rowcount": True}).rowcount
    inputs = [
        {"prediction_id": values["id"], "at_us": values["at_us"], "model": values["model"], "inputs": row.inputs}
        for row, values in rows
        if row.inputs is not None
    ]
    if inputs:
        connection.execute(insert(connection, payloads).on_conflict_do_nothing(), inputs)
    return added


def _counted(connection: Connection, spool: str, counts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What the spool counted before in the minutes of `counts`, where it is one of theirs."""
    keys = {(values["minute"], values["model"], values["version"], values["arm"]) for values in counts}
    minutes = tallies.c.minute.between(min(key[0] for key in keys), max(key[0] for key in keys))
    found = connection.execute(select(tallies).where(tallies.c.spool == spool, minutes)).mappings()
    return [dict(row) for row in found if (row["minute"], row["model"], row["version"], row["arm"]) in keys]


def _time_us(record: PredictionRow | Tally) -> int:
    """The time that the record claims, as far as a column holds it."""
    time_us: object = record.at_us if isinstance(record, PredictionRow) else record.minute * _MINUTE_US
    return min(max(time_us, 0), _MAX_INTEGER) if isinstance(time_us, int) else 0


def _without_inputs(record: PredictionRow | Tally) -> PredictionRow | Tally:
    return replace(record, inputs=None) if isinstance(record, PredictionRow) else record
