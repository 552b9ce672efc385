"""What people are told of, and in which words."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Event", "Notification", "notification"]


class Event(enum.Enum):
    """What people are told of: the sentence, how grave it is, and the commands to try, the first one first."""

    PROMOTED = ("{model}: version {version} serves now", "success", ("rollback", "history"))
    ROLLED_BACK = ("{model}: version {version} was rolled back", "warning", ("history", "versions"))
    STARTED = ("{model}: version {version} is being tried", "info", ("rollout status", "rollout abort"))
    HELD = ("{model}: the trial of version {version} waits", "warning", ("rollout status", "rollout abort"))
    REFUSED = ("{model}: a retrained model was refused", "warning", ("history",))
    FAILED = ("{model}: a retraining failed", "failure", ("history", "retrain"))
    DEGRADED = ("{model}: version {version} has become worse", "failure", ("rollback", "quality", "retrain"))
    DRIFTED = ("{model}: what version {version} is asked has changed", "warning", ("quality", "retrain"))
    BACKUP_FAILED = ("{model}: a backup failed", "failure", ("history",))

    def __init__(self, sentence: str, severity: str, verbs: tuple[str, ...]) -> None:
        self.sentence = sentence
        self.severity = severity
        self.verbs = verbs


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What people are told.

    Attributes:
        title: one line.
        severity: info, success, warning or failure.
        model: of which model.
        versions: by what they are, such as stable and candidate; those that matter.
        why: the reason, in a sentence.
        commands: what to try next, the first one first.
    """

    title: str
    severity: str
    model: str
    versions: Mapping[str, int]
    why: str
    commands: tuple[str, ...]

    @property
    def body(self) -> str:
        """The text under the title."""
        versions = ", ".join(f"{what} {version}" for what, version in self.versions.items()) or "none"
        lines = [self.title, "", f"model:     {self.model}", f"versions:  {versions}", f"why:       {self.why}", ""]
        lines += [f"{'next:' if place == 0 else '':<10} {command}" for place, command in enumerate(self.commands)]
        return "\n".join(lines) + "\n"


def notification(
    event: Event, *, model: str, why: str, version: int | None = None, versions: Mapping[str, int] | None = None
) -> Notification:
    """What to tell of an event.

    Args:
        event: what happened.
        model: of which model.
        why: the reason, in a sentence.
        version: the one that it happened to; None where there is none.
        versions: those that matter, by what they are.

    >>> told = notification(Event.PROMOTED, model="digits", why="better on 400 labels", version=4,
    ...                     versions={"stable": 4, "before it": 3})
    >>> print(told.body, end="")
    digits: version 4 serves now
    <BLANKLINE>
    model:     digits
    versions:  stable 4, before it 3
    why:       better on 400 labels
    <BLANKLINE>
    next:      fairlead rollback digits
               fairlead history digits
    """
    return Notification(
        title=event.sentence.format(model=model, version="" if version is None else version),
        severity=event.severity,
        model=model,
        versions=dict(versions or {}),
        why=why,
        commands=tuple(f"fairlead {verb} {model}" for verb in event.verbs),
    )
