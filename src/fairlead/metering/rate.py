"""How often something may be asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

__all__ = ["Rate"]

_UNIT_NS = {"s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_MOST = 1_000_000
_FORM = re.compile(r"([0-9]{1,9})/([smh])(?::([0-9]{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket.

    Attributes:
        count: how many requests a unit of time brings.
        unit: "s", "m" or "h".
        burst: how many can be saved up, and so be asked for at once.
    """

    count: int
    unit: str
    burst: int

    @staticmethod
    def parse(text: str) -> Rate:
        """`100/s`, `6000/m` or `10/h`; `100/s:200` saves up 200, and without that a second's worth is.

        Raises:
            ValueError: for anything else.
        """
        match = _FORM.fullmatch(text)
        if match is None or not 0 < int(match[1]) <= _MOST:
            raise ValueError(f"must be a rate, from 1 to {_MOST} requests: 100/s, 6000/m, 10/h or 100/s:200")
        count, unit = int(match[1]), match[2]
        rate = Rate(count=count, unit=unit, burst=max(1, count * _UNIT_NS["s"] // _UNIT_NS[unit]))
        return rate.with_burst(match[3]) if match[3] else rate

    def with_burst(self, text: str) -> Rate:
        """The rate with another burst.

        Raises:
            ValueError: when that is none.
        """
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not 0 < int(text) <= _MOST:
            raise ValueError(f"must be a burst, from 1 to {_MOST} requests: 200")
        return replace(self, burst=int(text))

    @property
    def interval_ns(self) -> int:
        """After how long one more may be asked for."""
        return _UNIT_NS[self.unit] // self.count

    def __str__(self) -> str:
        return f"{self.count}/{self.unit}:{self.burst}"
