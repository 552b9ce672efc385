"""A share that was counted, with where the true one plausibly lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fairlead.significance.shares import wilson_interval

__all__ = ["Share"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`right` of `rows`, and the ends of Wilson's interval.

    >>> found = Share.of(90, 100)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.9, 0.826, 0.945)
    """

    right: int
    rows: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share that was counted."""
        return self.right / self.rows

    @staticmethod
    def of(right: int, rows: int, level: float = 0.95) -> Share | None:
        """The share, or None where there are no rows to count."""
        if not rows:
            return None
        low, high = wilson_interval(right, rows, level)
        return Share(right=right, rows=rows, low=low, high=high)

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high, "rows": self.rows}
