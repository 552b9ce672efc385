"""A schedule runs once at the right time, whatever the clocks do."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.controller.schedule import Due, Schedule, due, next_after
from fairlead.errors import Code, FairleadError

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
BERLIN = "Europe/Berlin"
NEW_YORK = "America/New_York"


class Watcher:
    """A controller that looks at the clock now and then, and keeps what it ran under its key, as the database does."""

    def __init__(self, schedule: Schedule, since: datetime = SINCE) -> None:
        self.schedule = schedule
        self.since = since
        self.ran: dict[str, datetime] = {}

    def look(self, now: datetime) -> Due | None:
        """Run what is due, once for each key."""
        last = Due.instant(max(self.ran)) if self.ran else None
        found = due(self.schedule, since=self.since, last=last, now=now)
        if found is None or found.key in self.ran:
            return None
        self.ran[found.key] = now
        return found

    def watch(self, start: datetime, end: datetime, every: timedelta) -> list[datetime]:
        """Look from `start` to `end`, and tell when it ran."""
        began = len(self.ran)
        now = start
        while now <= end:
            self.look(now)
            now += every
        return list(self.ran.values())[began:]


def test_the_default_is_monday_two_o_clock_utc() -> None:
    """The first Monday of March 2026 is the 2nd."""
    ran = Watcher(Schedule()).watch(
        datetime(2026, 2, 24, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC), timedelta(minutes=5)
    )

    assert ran[-2:] == [datetime(2026, 3, 2, 2, tzinfo=UTC), datetime(2026, 3, 9, 2, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("zone", "cron", "start", "expected"),
    [
        # In Berlin the clock goes from 02:00 to 03:00 on 29 March, and from 03:00 back to 02:00 on 25 October 2026.
        (BERLIN, "0 2 * * *", (2026, 3, 27), ["28T01:00", "29T01:00", "30T00:00"]),
        (BERLIN, "30 2 * * *", (2026, 3, 27), ["28T01:30", "29T01:00", "30T00:30"]),
        (BERLIN, "30 2 * * *", (2026, 10, 23), ["24T00:30", "25T00:30", "26T01:30"]),
        (BERLIN, "0 3 * * *", (2026, 10, 23), ["24T01:00", "25T02:00", "26T02:00"]),
        # In New York from 02:00 to 03:00 on 8 March, and from 02:00 back to 01:00 on 1 November 2026.
        (NEW_YORK, "30 2 * * *", (2026, 3, 6), ["07T07:30", "08T07:00", "09T06:30"]),
        (NEW_YORK, "30 1 * * *", (2026, 10, 30), ["31T05:30", "01T05:30", "02T06:30"]),
        # Half an hour of summer time, on 5 April and 4 October 2026.
        ("Australia/Lord_Howe", "15 2 * * *", (2026, 10, 1), ["02T15:45", "03T15:30", "04T15:15"]),
    ],
)
def test_each_day_has_one_run_through_summer_time_and_back(
    zone: str, cron: str, start: tuple[int, int, int], expected: list[str]
) -> None:
    """A time that is skipped comes right after the gap; one that comes twice runs the first time."""
    begin = datetime(*start, 16, tzinfo=UTC)

    ran = Watcher(Schedule(cron=cron, zone=zone), since=begin).watch(
        begin, begin + timedelta(days=3), timedelta(minutes=1)
    )

    assert [f"{at:%dT%H:%M}" for at in ran] == expected


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, "UTC", "Asia/Kathmandu"])
def test_a_year_of_weeks_has_a_run_each(zone: str) -> None:
    """52 Mondays, each at the local time that was asked for."""
    watcher = Watcher(Schedule(cron="30 2 * * 1", zone=zone))

    ran = watcher.watch(SINCE, SINCE + timedelta(days=364), timedelta(minutes=30))

    assert len(ran) == 52
    local = [Due.instant(key).astimezone(ZoneInfo(zone)) for key in watcher.ran]
    assert {(at.weekday(), at.hour, at.minute) for at in local} == {(0, 2, 30)}
    assert len({at.isocalendar()[:2] for at in local}) == 52


def test_runs_missed_are_made_up_by_one() -> None:
    """Down for five weeks: one run, under the key of the newest week."""
    watcher = Watcher(Schedule())
    watcher.look(datetime(2026, 3, 2, 2, 0, 1, tzinfo=UTC))

    found = watcher.look(datetime(2026, 4, 8, 12, tzinfo=UTC))

    assert found is not None
    assert found.at == datetime(2026, 4, 6, 2, tzinfo=UTC)
    assert found.late == timedelta(days=2, hours=10)
    assert watcher.look(datetime(2026, 4, 8, 12, 1, tzinfo=UTC)) is None
    assert watcher.look(datetime(2026, 4, 13, 2, tzinfo=UTC)) is not None


def test_what_lies_before_the_schedule_was_not_missed() -> None:
    """A controller that starts on a Wednesday waits for Monday."""
    wednesday = datetime(2026, 3, 4, 12, tzinfo=UTC)

    assert due(Schedule(), since=wednesday, last=None, now=wednesday) is None
    assert due(Schedule(), since=wednesday, last=None, now=wednesday + timedelta(days=5)) is not None


def test_a_clock_set_back_runs_nothing_twice() -> None:
    """By a minute, an hour, a week or a month; and the next Monday runs as ever."""
    for back in (timedelta(minutes=1), timedelta(hours=1), timedelta(days=7), timedelta(days=31)):
        watcher = Watcher(Schedule(), since=datetime(2026, 1, 1, tzinfo=UTC))
        monday = datetime(2026, 3, 30, 2, tzinfo=UTC)
        for week in range(-12, 1):
            assert watcher.look(monday + timedelta(weeks=week)) is not None

        ran = watcher.watch(monday - back, monday + timedelta(days=6), timedelta(minutes=10))

        assert ran == []
        assert watcher.look(monday + timedelta(days=7)) is not None


def test_a_clock_that_was_years_ahead_costs_one_run_and_no_week_after() -> None:
    """It runs once while the clock is wrong; set right, the next Monday is on time and nothing is made up."""
    watcher = Watcher(Schedule())
    now = datetime(2026, 3, 2, 2, tzinfo=UTC)
    watcher.look(now)

    ahead = watcher.watch(now + timedelta(days=3650), now + timedelta(days=3651), timedelta(hours=1))
    later = watcher.watch(now + timedelta(hours=1), now + timedelta(days=15), timedelta(minutes=10))

    assert len(ahead) == 1
    assert later == [datetime(2026, 3, 9, 2, tzinfo=UTC), datetime(2026, 3, 16, 2, tzinfo=UTC)]


@given(seed=st.integers(0, 2**32), cron=st.sampled_from(["0 2 * * 1", "30 2 * * *", "*/20 * * * *", "15 1,13 * * 1-5"]))
def test_any_walk_of_the_clock_runs_each_instant_once_and_on_its_time_or_later(seed: int, cron: str) -> None:
    """Forward, back and far ahead: each run is of an instant that came, and no instant has two."""
    walk = random.Random(seed)
    watcher = Watcher(Schedule(cron=cron, zone=BERLIN), since=datetime(2026, 3, 20, tzinfo=UTC))
    now = datetime(2026, 3, 20, tzinfo=UTC)
    instants = []
    for _ in range(60):
        now += timedelta(minutes=walk.choice([1, 10, 60, 600, 6000, -1, -60, -6000]))
        found = watcher.look(now)
        if found:
            assert found.at <= now
            assert next_after(watcher.schedule, found.at - timedelta(seconds=1)) == found.at
            assert Due.instant(found.key) == found.at
            instants.append(found.at)

    assert len(instants) == len(set(instants))


@given(
    seconds=st.integers(0, 400 * 86400),
    cron=st.sampled_from(["0 2 * * 1", "30 2 * * *", "*/20 * * * *", "5 4 1 * *", "0 0 29 2 *", "15 1-3 * * *"]),
    zone=st.sampled_from([BERLIN, NEW_YORK, "UTC", "Australia/Lord_Howe"]),
)
def test_the_newest_instant_is_the_last_of_all_of_them(seconds: int, cron: str, zone: str) -> None:
    """Looking back through widening windows finds what counting forward from the start finds."""
    schedule, now = Schedule(cron=cron, zone=zone), SINCE + timedelta(seconds=seconds)
    start = max(SINCE, now - timedelta(days=40))
    counted, at = None, next_after(schedule, start)
    while at <= now:
        counted, at = at, next_after(schedule, at)

    found = due(schedule, since=start, last=None, now=now)

    assert (found.at if found else None) == counted


@pytest.mark.parametrize(
    "cron", ["", "* * * *", "0 0 2 * * 1", "61 * * * *", "0 2 * * MONDAY", "0 0 31 2 *", "@weekly"]
)
def test_a_bad_expression_is_named(cron: str) -> None:
    """An error with the value, before anything waits for it."""
    with pytest.raises(FairleadError) as caught:
        Schedule(cron=cron)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert repr(cron) in caught.value.message


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "/etc/localtime"])
def test_a_bad_zone_is_named(zone: str) -> None:
    """An error with the value."""
    with pytest.raises(FairleadError) as caught:
        Schedule(zone=zone)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert repr(zone) in caught.value.message


def test_the_key_of_another_occasion_is_no_instant() -> None:
    """Keys of drift and of people are refused."""
    with pytest.raises(FairleadError):
        Due.instant("drift:digits@3")
