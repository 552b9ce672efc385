"""What an examination finds."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["Finding", "Health", "ok"]


class Health(enum.StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        health: how it is.
        message: what was found, with the figures.
        hint: the next command to run; empty when there is nothing to do.
    """

    name: str
    health: Health
    message: str
    hint: str = ""


def ok(name: str, message: str) -> Finding:
    """All is well."""
    return Finding(name=name, health=Health.OK, message=message)
