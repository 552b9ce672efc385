"""Labels in the order in which they came, each beside the answers that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, select

from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import labels, predictions

__all__ = ["Arrival", "Judged", "answers_to", "arrivals_after", "last_arrival"]

_IDS_AT_ONCE = 5_000  # SQLite takes 32,766 parameters a statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A label: its number, what it is about, what it says and when it came."""

    seq: int
    prediction_id: str
    label: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer that a label is about."""

    model: str
    version: int
    arm: str
    at_us: int
    predicted: str | None


def last_arrival(engine: Engine) -> int:
    """The number of the newest label; 0 when there is none."""
    query = select(labels.c.seq).order_by(labels.c.seq.desc()).limit(1)
    with database_errors(engine), reading(engine) as connection:
        return connection.execute(query).scalar() or 0


def arrivals_after(engine: Engine, seq: int, *, limit: int = 5_000) -> list[Arrival]:
    """The next labels after number `seq`, corrections among them, at most `limit`."""
    query = select(labels).where(labels.c.seq > seq).order_by(labels.c.seq).limit(limit)
    with database_errors(engine), reading(engine) as connection:
        return [
            Arrival(seq=row.seq, prediction_id=row.prediction_id, label=row.label, at_us=row.at_us)
            for row in connection.execute(query)
        ]


def answers_to(engine: Engine, ids: Sequence[str]) -> dict[str, list[Judged]]:
    """The answers under each of these ids that are in the log: a copy's beside the one that the caller got."""
    found: dict[str, list[Judged]] = {}
    with database_errors(engine), reading(engine) as connection:
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = predictions.c.id.in_(ids[start : start + _IDS_AT_ONCE])
            for row in connection.execute(select(predictions).where(some, predictions.c.error == "")):
                found.setdefault(row.id, []).append(
                    Judged(model=row.model, version=row.version, arm=row.arm, at_us=row.at_us, predicted=row.predicted)
                )
    return found
