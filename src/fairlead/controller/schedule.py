"""When a retraining is due by the clock: a cron expression in a time zone, made up once where it was missed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from fairlead.errors import Code, FairleadError

__all__ = ["Due", "Schedule", "due", "next_after"]

_FIELDS = 5
_KEY = "schedule:%Y-%m-%dT%H:%MZ"
_ON_TIME = timedelta(hours=1)
# How far to look back for the newest instant, widening: most schedules have one in the last of these that is needed.
_WINDOWS = tuple(timedelta(hours=hours) for hours in (1, 24, 8 * 24, 32 * 24, 367 * 24))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The instants that a cron expression names in a time zone.

    As in Debian's cron: a fixed time that the clock skips in spring comes right after the gap, one that it passes twice
    in autumn comes the first time, and `*/N` goes by elapsed time.

    Attributes:
        cron: minute, hour, day of the month, month, day of the week.
        zone: a name of the IANA time zone database.

    Raises:
        FairleadError: INVALID_ARGUMENT naming the expression or the zone.
    """

    cron: str = "0 2 * * 1"
    zone: str = "UTC"

    def __post_init__(self) -> None:
        try:
            zone = ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"{self.zone!r} is not a time zone", hint="such as UTC or Europe/Berlin"
            ) from error
        hint = "minute, hour, day of the month, month, day of the week, such as '0 2 * * 1'"
        try:
            if len(self.cron.split()) != _FIELDS:
                raise CronSimError(f"it has not {_FIELDS} fields")  # noqa: TRY301 - said as the other mistakes are
            first = next(CronSim(self.cron, datetime(2000, 1, 1, tzinfo=zone)), None)
        except CronSimError as error:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"{self.cron!r} is not a cron expression: {error}", hint=hint
            ) from error
        if first is None:
            raise FairleadError(Code.INVALID_ARGUMENT, f"the cron expression {self.cron!r} never comes", hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A run that should begin now.

    Attributes:
        at: the instant it was scheduled for, in UTC.
        late: how long ago that was.
    """

    at: datetime
    late: timedelta

    @property
    def key(self) -> str:
        """Names the run: whoever begins it under this key begins it once."""
        return self.at.strftime(_KEY)

    @staticmethod
    def instant(key: str) -> datetime:
        """The scheduled instant that `key` names.

        Raises:
            FairleadError: INVALID_ARGUMENT when it is no such key.
        """
        try:
            return datetime.strptime(key, _KEY).replace(tzinfo=UTC)
        except ValueError as error:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{key!r} is not the key of a scheduled run") from error


def due(schedule: Schedule, *, since: datetime, last: datetime | None, now: datetime) -> Due | None:
    """The run that is due, or None.

    It is the newest scheduled instant that has come and was not run: however many were missed, one run makes up for
    them. Where `last` lies ahead of `now` the clock was set back, and how much was missed cannot be told: then an
    instant is due within an hour of its coming and nothing is made up. Whoever acts on the answer begins the run
    under `Due.key`, which holds even then that none runs twice.

    Args:
        schedule: what was asked for.
        since: when it came into force; what lies before was not missed.
        last: the newest scheduled instant that was run; None for none yet.
        now: the time.

    >>> weekly = Schedule(cron="0 2 * * 1", zone="UTC")
    >>> sunday, monday = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, 2, tzinfo=UTC)
    >>> due(weekly, since=sunday, last=None, now=monday - timedelta(seconds=1))
    >>> due(weekly, since=sunday, last=None, now=monday).key
    'schedule:2026-03-02T02:00Z'
    >>> due(weekly, since=sunday, last=monday, now=monday + timedelta(days=6))
    >>> due(weekly, since=sunday, last=monday, now=monday + timedelta(days=25)).key
    'schedule:2026-03-23T02:00Z'
    """
    if last is None:
        after = since
    elif last > now:
        after = max(since, now - _ON_TIME)
    else:
        after = max(since, last)
    at = _newest(schedule, after, now)
    return None if at is None else Due(at=at, late=now - at)


def next_after(schedule: Schedule, now: datetime) -> datetime:
    """The next scheduled instant after `now`, in UTC.

    >>> next_after(Schedule(cron="30 2 * * *", zone="Europe/Berlin"), datetime(2026, 3, 28, 12, tzinfo=UTC))
    datetime.datetime(2026, 3, 29, 1, 0, tzinfo=datetime.timezone.utc)
    """
    return next(_instants(schedule, now))


def _newest(schedule: Schedule, after: datetime, until: datetime) -> datetime | None:
    """The newest instant in (after, until]."""
    for start in (*(until - window for window in _WINDOWS), after):
        begin = max(start, after)
        instants = itertools.takewhile(lambda at: at <= until, _instants(schedule, begin))
        newest = max(instants, default=None)
        if newest is not None or begin == after:
            return newest
    return None


def _instants(schedule: Schedule, after: datetime) -> Iterator[datetime]:
    """The instants later than `after`, in UTC. Asked for in the hour that comes twice, CronSim names earlier ones."""
    for local in CronSim(schedule.cron, after.astimezone(ZoneInfo(schedule.zone))):
        at = local.astimezone(UTC)
        if at > after:
            yield at
