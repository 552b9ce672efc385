"""What is in the database of a prediction log, held against what the clients know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sqlalchemy import func, select

from fairlead.database.engine import database_errors, open_engine, reading
from fairlead.database.schema import dead_letters, labels, predictions, tallies

__all__ = ["LogReader", "Logged"]


@dataclass(frozen=True, kw_only=True)
class Logged:
    """How the log differs from what the clients were told.

    Attributes:
        rows: in the log.
        lost: ids that a client got and the log lacks.
        doubled: rows beyond the first of an id.
        unasked: ids in the log that no client got.
        miscounted: how far the exact counts of all minutes are from the rows.
        dead: rows that no database takes.
    """

    rows: int
    lost: int
    doubled: int
    unasked: int
    miscounted: int
    dead: int


class LogReader:
    """Reads a log's tables.

    Args:
        url: of the database.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    def rows(self) -> int:
        """How many there are by now.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer.
        """
        with database_errors(self._engine), reading(self._engine) as connection:
            return connection.execute(select(func.count()).select_from(predictions)).scalar_one()

    def compare(self, ids: AbstractSet[str]) -> Logged:
        """Hold the rows against the `ids` that clients got."""
        with reading(self._engine) as connection:
            found = Counter(connection.execute(select(predictions.c.id)).scalars())
            counted = connection.execute(select(func.coalesce(func.sum(tallies.c.rows), 0))).scalar_one()
            dead = connection.execute(select(func.count()).select_from(dead_letters)).scalar_one()
        return Logged(
            rows=found.total(),
            lost=len(ids - found.keys()),
            doubled=found.total() - len(found),
            unasked=len(found.keys() - ids),
            miscounted=abs(int(counted) - found.total()),
            dead=dead,
        )

    def lost_labels(self, given: Mapping[str, str]) -> int:
        """How many of the labels that were acknowledged, by prediction, are not the current ones."""
        with reading(self._engine) as connection:
            query = select(labels.c.prediction_id, labels.c.label).where(labels.c.is_current)
            current = {row.prediction_id: row.label for row in connection.execute(query)}
        return sum(current.get(id_) != label for id_, label in given.items())
