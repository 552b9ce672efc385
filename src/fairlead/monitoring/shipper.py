"""Moves what workers wrote into their spools to the database, a piece at a time."""

from __future__ import annotations

import logging
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.position import Position
from fairlead.monitoring.prediction import PredictionRow, Tally
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.monitoring.spool import Chunk, SpoolReader
from fairlead.monitoring.spool_rows import rows_and_tallies

__all__ = ["PIECE_BYTES", "Shipper"]

PIECE_BYTES = 1 << 20
"""What one step ships at most, unless a single record is larger."""

_log = logging.getLogger(__name__)


class Shipper:
    """Ships one spool. For one thread.

    Args:
        log: the database's side.
        name: of the spool.
        directory: where it is.
    """

    def __init__(self, log: PredictionLog, name: str, directory: Path) -> None:
        self._log = log
        self._name = name
        self._reader = SpoolReader(directory)
        self._position: Position | None = None

    def step(self, *, is_closed: bool = False) -> int | None:
        """Ship a piece: how many rows of it are new, or None when nothing waits.

        Args:
            is_closed: whether nobody writes to the spool any more.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer; the next step goes on where this one was.
            OSError: when the spool cannot be read.
        """
        if self._position is None:
            self._position = self._log.position(self._name)
        chunk = self._reader.read(self._position, PIECE_BYTES, is_closed=is_closed)
        if chunk.end == self._position:
            return None
        rows, tallies = self._read(chunk)
        try:
            added = self._log.ship(self._name, rows, tallies, begin=self._position, end=chunk.end, dropped=chunk.lost)
        except FairleadError as error:
            self._position = None  # whatever arrived of it, the database knows
            if error.code is Code.ABORTED:
                return 0
            raise
        self._position = chunk.end
        self._reader.discard(chunk.end)
        return added

    def sync(self) -> None:
        """Bring what waits to the disk."""
        self._reader.sync(self._position or Position())

    @property
    def backlog_bytes(self) -> int:
        """How much waits."""
        return self._reader.backlog_bytes(self._position or Position())

    def _read(self, chunk: Chunk) -> tuple[list[PredictionRow], list[Tally]]:
        """What the chunk says. One that makes no sense is left out, or it would stand before all others for ever."""
        try:
            return rows_and_tallies(chunk.versions, chunk.batches)
        except (ValueError, KeyError, IndexError, TypeError):
            _log.exception("%s: what stands from %s to %s makes no sense", self._name, chunk.begin, chunk.end)
            return [], []
