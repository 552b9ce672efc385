"""Moves every spool of a machine to the database: a server's own, and what servers that are gone have left."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.monitoring.shipper import Shipper
from fairlead.monitoring.spool_home import abandoned, spools
from fairlead.telemetry.log import LogMetrics

__all__ = ["SpoolShipping"]

_ABANDONED_S = 15.0
_log = logging.getLogger(__name__)


class SpoolShipping:
    """Ships in turns, a piece of each spool. For one thread.

    Args:
        log: the database's side.
        name, directory: of the spools that the server claimed.
        root: where all servers' spools are.
        metrics: told what happens.
    """

    def __init__(self, log: PredictionLog, name: str, directory: Path, root: Path, metrics: LogMetrics) -> None:
        self._log = log
        self._name = name
        self._directory = directory
        self._root = root
        self._metrics = metrics
        self._shippers: dict[str, Shipper] = {}
        self._looked_at = 0.0

    def step(self) -> bool:
        """Ship a piece of each of the server's own spools; whether there was any.

        A spool that cannot be read is told of, and holds up no other.

        Raises:
            FairleadError: UNAVAILABLE when the database does not answer; the next step goes on where this one was.
        """
        try:
            for name, directory in spools(self._name, self._directory).items():
                self._shippers.setdefault(name, Shipper(self._log, name, directory))
            shipped = [self._ship(shipper, is_closed=False) for shipper in self._shippers.values()]
            return True in shipped
        finally:
            self._metrics.backlog_bytes.set(self.backlog_bytes)

    def step_abandoned(self) -> None:
        """Ship what others have left, if it is time to look for it. The server's own come in between.

        Raises:
            FairleadError: as `step`.
        """
        if time.monotonic() - self._looked_at < _ABANDONED_S:
            return
        self._looked_at = time.monotonic()
        for claim in abandoned(self._root):
            for name, directory in spools(claim.name, claim.directory).items():
                shipper = Shipper(self._log, name, directory)
                while self._ship(shipper, is_closed=True):
                    self.step()

    def sync(self) -> None:
        """Bring what waits to the disk."""
        for shipper in self._shippers.values():
            shipper.sync()

    @property
    def backlog_bytes(self) -> int:
        """How much of the server's own waits."""
        return sum(shipper.backlog_bytes for shipper in self._shippers.values())

    def _ship(self, shipper: Shipper, *, is_closed: bool) -> bool:
        try:
            added = shipper.step(is_closed=is_closed)
        except OSError as error:
            self._metrics.failures.inc()
            _log.error("predictions wait in a spool that cannot be read: %s", error)
            return False
        self._metrics.shipped.inc(added or 0)
        return added is not None
