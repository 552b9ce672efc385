"""What to do next so that every seat has a worker of the newest generation. Pure: values in, an action out."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["Action", "Do", "View", "next_action", "restart_delay"]

PATIENCE_S = 5.0
"""How long clients of a service that was up wait behind the port for a new worker to load, when there is no other."""

_FIRST_DELAY_S = 0.5
_LAST_DELAY_S = 5.0
"""Whoever kills every worker, again and again, finds the service ready within ten seconds all the same."""


class Do(enum.Enum):
    """The three things that can be done."""

    START = enum.auto()
    ACCEPT = enum.auto()
    DRAIN = enum.auto()


@dataclass(frozen=True, slots=True)
class Action:
    """One step: START a worker in a seat, let a worker ACCEPT connections, or DRAIN one."""

    do: Do
    seat: int
    worker: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One worker as it is now.

    Attributes:
        worker: what tells it from the others.
        seat: the place that it fills. During a replacement two workers share one.
        is_current: it was started after the last wish for new workers.
        is_started: the first attempt at every model has ended.
        is_ready: every model answers.
        age_s: since it was started.
    """

    worker: int
    seat: int
    is_current: bool = True
    is_accepting: bool = False
    is_leaving: bool = False
    is_started: bool = False
    is_ready: bool = False
    age_s: float = 0.0


def next_action(workers: Sequence[View], due: Collection[int], *, was_started: bool) -> Action | None:
    """The next step, or None when there is nothing to do now.

    Replacements go one by one: the new worker takes connections before the old one stops, and the old one's memory
    comes back before the next new one asks for some.

    Args:
        workers: those that live, in the order in which they were started.
        due: the seats that may be filled now if they are vacant; others wait for their delay to pass.
        was_started: some worker of this service has been started before.

    >>> next_action([View(worker=7, seat=0, is_started=True)], due={0, 1}, was_started=True)
    Action(do=<Do.START: 1>, seat=1, worker=None)
    >>> next_action([View(worker=7, seat=0, is_started=True)], due={0}, was_started=True)
    Action(do=<Do.ACCEPT: 2>, seat=0, worker=7)
    """
    staying = [worker for worker in workers if not worker.is_leaving]
    if vacant := set(due) - {worker.seat for worker in staying}:
        return Action(Do.START, min(vacant))
    for worker in staying:
        if not worker.is_accepting and _may_accept(worker, staying, was_started=was_started):
            return Action(Do.ACCEPT, worker.seat, worker.worker)
    for seat in {worker.seat for worker in staying}:
        worker, *successors = [worker for worker in staying if worker.seat == seat]
        if successors:
            return Action(Do.DRAIN, seat, worker.worker) if _can_follow(successors[0], worker) else None
    if len(staying) == len(workers):
        outdated = [worker.seat for worker in staying if not worker.is_current]
        return Action(Do.START, outdated[0]) if outdated else None
    return None


def _may_accept(worker: View, staying: Sequence[View], *, was_started: bool) -> bool:
    """Whether `worker` answers as well as those that accept.

    A connection goes to any worker that accepts. So one that has not loaded its models takes none as long as another
    can; and while the first of a new service answers the probes with nothing loaded yet, the others leave that to it.
    """
    accepting = [other for other in staying if other.is_accepting]
    if worker.is_started:
        return all(other.is_started for other in accepting)
    return not accepting and (not was_started or worker.age_s >= PATIENCE_S)


def _can_follow(successor: View, worker: View) -> bool:
    return successor.is_accepting and successor.is_started and (successor.is_ready or not worker.is_ready)


def restart_delay(deaths: int) -> float:
    """Seconds to wait before a seat is filled again, after so many deaths in a row.

    >>> [restart_delay(deaths) for deaths in (1, 2, 3, 4, 20)]
    [0.0, 0.5, 1.0, 2.0, 5.0]
    """
    if deaths <= 1:
        return 0.0
    return min(_FIRST_DELAY_S * 2.0 ** min(deaths - 2, 10), _LAST_DELAY_S)
