"""What a drill showed: its steps with their times, and whether each of them held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId

__all__ = ["Book", "Line", "Report", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a drill.

    Attributes:
        name: what was to happen.
        what: what happened.
        seconds: how long it took; `what` says from when on where that is not the step's own beginning.
        held: whether it went as it should.
        figures: the numbers behind it.
    """

    name: str
    what: str
    seconds: float
    held: bool
    figures: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "step": self.name,
            "what": self.what,
            "seconds": round(self.seconds, 3),
            "held": self.held,
            "figures": dict(self.figures),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A drill that is over.

    Attributes:
        stable: the version that it practised with.
        bad: the version that was made to be caught; None when it did not come to that.
        steps: in order.
        untried: names of steps that it did not come to, since one before them failed.
        seconds: from beginning to end.
        scratch: the directory that was kept; empty when it was removed.
    """

    stable: ServableId
    bad: ServableId | None
    steps: tuple[Step, ...]
    untried: tuple[str, ...]
    seconds: float
    scratch: str

    @property
    def held(self) -> bool:
        """Whether every step was taken, and held."""
        return not self.untried and all(step.held for step in self.steps)

    @property
    def sentence(self) -> str:
        """The whole of it for people."""
        failed = [step.name for step in self.steps if not step.held]
        told = f"{len(self.steps)} steps in {self.seconds:.0f} s: "
        if self.held:
            return f"{told}everything held. A bad version of {self.stable.model} would be caught and taken back."
        never = f"; it never came to: {', '.join(self.untried)}" if self.untried else ""
        return f"{told}did not hold: {', '.join(failed)}{never}. Mend that before an incident does it for you."

    def to_json(self) -> dict[str, Any]:
        """As a program reads it."""
        return {
            "model": self.stable.model,
            "stable": self.stable.version,
            "bad": self.bad.version if self.bad else None,
            "held": self.held,
            "seconds": round(self.seconds, 3),
            "steps": [step.to_json() for step in self.steps],
            "untried": list(self.untried),
            "summary": self.sentence,
            "scratch": self.scratch or None,
        }


@dataclass(slots=True, kw_only=True)
class Line:
    """A step that is being taken: what is to be said of it.

    Attributes:
        seconds: in place of how long the step itself took.
    """

    what: str = ""
    held: bool = True
    seconds: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


class Book:
    """The steps so far.

    Args:
        names: of all steps that there should be, in order.
        on_step: told of each step once it is over.
    """

    def __init__(self, names: tuple[str, ...], on_step: Callable[[Step], None]) -> None:
        self.steps: list[Step] = []
        self._names = names
        self._on_step = on_step

    @contextmanager
    def step(self, name: str) -> Iterator[Line]:
        """Take a step; one that raises did not hold, and says why."""
        line, began_s = Line(), time.monotonic()
        try:
            yield line
        except FairleadError as error:
            line.what, line.held = str(error), False
            raise
        else:
            line.what = line.what or "done"
        finally:
            seconds = time.monotonic() - began_s if line.seconds is None else line.seconds
            if line.what:
                self._add(Step(name=name, what=line.what, seconds=seconds, held=line.held, figures=line.figures))

    @property
    def has_failed(self) -> bool:
        """Whether the latest step did not hold."""
        return bool(self.steps) and not self.steps[-1].held

    @property
    def untried(self) -> tuple[str, ...]:
        """Steps that were not taken."""
        return tuple(name for name in self._names if name not in {step.name for step in self.steps})

    def _add(self, step: Step) -> None:
        self.steps.append(step)
        self._on_step(step)
