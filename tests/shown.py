"""What a page shows of what is printed, held against what is."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["FENCE", "shows"]

FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]*)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block of a page: its language, its title, its text."""


def shows(shown: str, printed: str | Path) -> bool:
    """Whether this was printed, or written to the file: whatever its figures, its users and its white space.

    `...` stands for anything.
    """
    parts = (r"\s*".join(map(_pattern, part.split())) for part in shown.split("..."))
    text = printed.read_text() if isinstance(printed, Path) else printed
    return re.search(".*?".join(parts), text, re.DOTALL) is not None


def _pattern(word: str) -> str:
    """What a word may be: its figures are others each time, and users have other names than Ann."""
    figures = re.sub(r"\d+(?:(?:[.,:]|\\-)\d+)*", lambda _: r"\d[\d.,:e-]*", re.escape(word))
    return re.sub(r"\bann\b", lambda _: r"\S+", figures)
