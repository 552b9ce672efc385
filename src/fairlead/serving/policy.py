"""What to do next so that the versions that are up become those that should be. Pure: values in, an action out."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from fairlead.serving.status import State

__all__ = ["Action", "Do", "Snapshot", "next_action"]


class Do(enum.Enum):
    """The two things that can be done to a version."""

    LOAD = enum.auto()
    UNLOAD = enum.auto()


@dataclass(frozen=True, slots=True)
class Action:
    """One step."""

    do: Do
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One version of the model as it is now.

    Attributes:
        is_aspired: it should be up.
        is_default: it is one that should answer callers who name none.
        is_due: it may be tried now; False while a failed load waits for its next try.
    """

    version: int
    state: State
    is_aspired: bool
    is_default: bool
    is_due: bool = True


def next_action(snapshots: Collection[Snapshot]) -> Action | None:
    """The next step for one model, or None when there is nothing to do now.

    Availability first: what serves is unloaded only when a default version can answer, or when nothing is aspired.

    >>> old = Snapshot(version=1, state=State.AVAILABLE, is_aspired=False, is_default=False)
    >>> new = Snapshot(version=2, state=State.START, is_aspired=True, is_default=True)
    >>> next_action([old, new])
    Action(do=<Do.LOAD: 1>, version=2)
    """
    loadable = [s for s in snapshots if s.is_aspired and s.state in (State.START, State.END) and s.is_due]
    if loadable:
        first = max(loadable, key=lambda s: (s.is_default, s.version))
        return Action(Do.LOAD, first.version)
    has_answer = any(s.is_default and s.state is State.AVAILABLE for s in snapshots)
    if has_answer or not any(s.is_aspired for s in snapshots):
        for snapshot in sorted(snapshots, key=lambda s: s.version):
            if snapshot.state is State.AVAILABLE and not snapshot.is_aspired:
                return Action(Do.UNLOAD, snapshot.version)
    return None
