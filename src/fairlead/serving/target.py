"""Which version of which model a caller asks for."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model, and at most one of a version and a label; neither means what the release calls stable."""

    model: str
    version: int | None = None
    label: str | None = None

    def __str__(self) -> str:
        """The words TensorFlow Serving uses: `Latest(digits)` or `Specific(digits, 3)`."""
        return f"Latest({self.model})" if self.version is None else f"Specific({self.model}, {self.version})"
