"""How details name classes and distances, so that every check words them alike."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed", "points"]

_MAX_LISTED = 5


def listed(labels: Sequence[str]) -> str:
    """The labels, quoted; the first five of many.

    >>> listed(["ham", "spam"])
    "'ham', 'spam'"
    >>> listed(list("abcdefg"))
    "'a', 'b', 'c', 'd', 'e' and 2 more"
    """
    told = ", ".join(repr(label) for label in labels[:_MAX_LISTED])
    return told if len(labels) <= _MAX_LISTED else f"{told} and {len(labels) - _MAX_LISTED} more"


def points(distance: float) -> str:
    """A distance between two shares, in percentage points of at most three digits, never rounded away to zero.

    >>> points(0.97 - 0.962)
    '0.8 points'
    """
    told = f"{distance * 100:.3g}"
    return f"{told} point" if told == "1" else f"{told} points"
