"""How a worker is, as people and probes are told."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

__all__ = ["State", "WorkerState"]


class State(enum.StrEnum):
    """A worker's life as it is seen from outside."""

    WAITING = "waiting"
    """There is none: the last one died, and the next is due in a moment."""
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    """It takes connections, and every model answers."""
    DEGRADED = "degraded"
    """It takes connections, or will, and some model cannot answer."""
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """One worker, or one that is due.

    Attributes:
        worker: the number of its place, from 1; a worker and the one that follows it share one for a while.
        pid: its process; None while it is waited for.
        state: what it does.
        is_started: whether its first attempt at every model has ended.
        since: when it was started, or when the one before it died.
        restarts: how many workers were in its place before it.
        why: what stands in the way of being ready.
    """

    worker: int
    pid: int | None
    state: State
    is_started: bool
    since: datetime
    restarts: int
    why: tuple[str, ...] = ()

    def __str__(self) -> str:
        who = f"worker {self.worker}" if self.pid is None else f"worker {self.worker} (pid {self.pid})"
        return ": ".join([who, self.state.value, *self.why])
