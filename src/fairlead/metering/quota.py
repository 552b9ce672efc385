"""How many requests a stretch of the calendar may bring."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["Quota"]

_MOST = 10**12
_FORM = re.compile(r"([0-9]{1,13})/(hour|day|month)", re.ASCII)
_HOUR_S = 3600
_HOURS = {"hour": 1, "day": 24}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """So many requests in each hour, day or month of UTC.

    Attributes:
        count: how many.
        unit: "hour", "day" or "month".
    """

    count: int
    unit: str

    @staticmethod
    def parse(text: str) -> Quota:
        """`1000/hour`, `1000000/day` or `30000000/month`.

        Raises:
            ValueError: for anything else.
        """
        match = _FORM.fullmatch(text)
        if match is None or not 0 < int(match[1]) <= _MOST:
            raise ValueError(f"must be a quota, from 1 to {_MOST} requests: 1000/hour, 1000000/day or 30000000/month")
        return Quota(count=int(match[1]), unit=match[2])

    def window(self, now: float) -> tuple[int, int]:
        """The stretch in which the second `now` since 1970 is: where it begins and ends, in hours since 1970."""
        hours = int(now) // _HOUR_S
        if self.unit != "month":
            first = hours - hours % _HOURS[self.unit]
            return first, first + _HOURS[self.unit]
        day = datetime.fromtimestamp(now, UTC)
        following = (day.year + day.month // 12, day.month % 12 + 1)
        return _hour(day.year, day.month), _hour(*following)

    def __str__(self) -> str:
        return f"{self.count}/{self.unit}"


def _hour(year: int, month: int) -> int:
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) // _HOUR_S
