"""How commands print."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from fairlead.config import Settings, check_flags

__all__ = ["columns", "json_line", "say", "settings_from"]


def say(line: str) -> None:
    """One line for a person, on standard error, so that standard output stays a program's."""
    print(line, file=sys.stderr, flush=True)


def json_line(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, ensure_ascii=False))


def columns(rows: Sequence[Sequence[str]]) -> str:
    """The rows as aligned columns; the first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def settings_from(arguments: Namespace) -> Settings:
    """The settings that the parsed flags and the environment make."""
    known = Settings.__dataclass_fields__
    flags = {name: value for name, value in vars(arguments).items() if name in known}
    check_flags(flags)
    return Settings.read(**flags)
