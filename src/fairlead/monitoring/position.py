"""A place in a spool."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Position"]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """The file's number, and bytes from its start."""

    file: int = 0
    position: int = 0

    def __str__(self) -> str:
        return f"byte {self.position} of file {self.file}"
