"""A place for a worker: when it may be filled again after what happened there."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from fairlead.app.supervision.policy import restart_delay
from fairlead.app.supervision.state import State, WorkerState

__all__ = ["Seat"]


class Seat:
    """One of as many as there are to be workers.

    Attributes:
        number: from 0.
        starts: how many workers were started in it.
        deaths: in a row, of workers that were not well for long.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.starts = 0
        self.deaths = 0
        self._due_at = 0.0
        self._why = ""
        self._since = datetime.now(UTC)

    @property
    def is_due(self) -> bool:
        """Whether it may be filled now."""
        return time.monotonic() >= self._due_at

    def vacate(self, why: str, *, was_well: bool) -> float:
        """Note that its worker died, or could not be started; the seconds until the next may follow."""
        self.deaths = 1 if was_well else self.deaths + 1
        delay = restart_delay(self.deaths)
        self._due_at = time.monotonic() + delay
        self._why, self._since = why, datetime.now(UTC)
        return delay

    def state(self) -> WorkerState:
        """How it is without a worker."""
        return WorkerState(
            worker=self.number + 1,
            pid=None,
            state=State.WAITING,
            is_started=False,
            since=self._since,
            restarts=self.starts,
            why=(self._why,) if self._why else (),
        )
