"""What is a quota, and that what was used of it is not forgotten before its time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead.errors import Code, FairleadError, RateLimitError
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Account, Meter
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate


def second(text: str) -> float:
    """Of a moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_quota_is_of_a_stretch_of_the_calendar() -> None:
    """Of UTC, whatever the zone here; months are as long as they are."""
    for text, moment, begins, ends in (
        ("1/hour", "2026-02-28T23:59:59", "2026-02-28T23:00", "2026-03-01T00:00"),
        ("1/day", "2026-02-28T23:59:59", "2026-02-28T00:00", "2026-03-01T00:00"),
        ("1/month", "2026-02-28T23:59:59", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("1/month", "2026-12-31T23:59:59", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("1/day", "2026-03-01T00:00:00", "2026-03-01T00:00", "2026-03-02T00:00"),
    ):
        quota = Quota.parse(text)
        assert quota.window(second(moment)) == (second(begins) / 3600, second(ends) / 3600)
        assert Quota.parse(str(quota)) == quota


@pytest.mark.parametrize("text", ["", "0/day", "-1/day", "1.5/day", "5/d", "5/s", "5", "1000000000001/day", "5/year"])
def test_anything_else_is_none(text: str) -> None:
    """The refusal says how it is written."""
    with pytest.raises(ValueError, match="must be a quota, from 1 to 1000000000000 requests: 1000/hour"):
        Quota.parse(text)


def test_a_quota_is_used_up_and_comes_back(tmp_path: Path) -> None:
    """Exactly; the refusal says when. Whoever opens the file anew, or at the same time, goes on with what is there."""
    now = [second("2026-02-28T22:00:00")]
    account = Account("key", "a", "the key a", None, Quota.parse("10/day"))
    meters = [Meter(Ledger.make(), Ledger.open(tmp_path / "quotas"), now=lambda: now[0]) for _ in range(2)]
    for each in range(10):
        meters[each % 2].charge(account)
    meters.append(Meter(Ledger.make(), Ledger.open(tmp_path / "quotas"), now=lambda: now[0]))
    for meter in meters:
        with pytest.raises(RateLimitError, match="the key a has had the 10/day") as refused:
            meter.charge(account)
        assert (refused.value.reason, refused.value.retry_after_s) == ("key_quota", 7200.0)

    now[0] += 7200

    for _ in range(10):
        meters[0].charge(account)
    with pytest.raises(RateLimitError):
        meters[2].charge(account)


def test_what_the_rate_refuses_uses_nothing_of_the_quota(tmp_path: Path) -> None:
    """So nobody loses a day's quota by asking too fast."""
    ledger = Ledger.open(tmp_path / "quotas")
    meter = Meter(Ledger.make(), ledger, clock=lambda: 10**15, now=lambda: 3600.0)
    account = Account("key", "a", "", Rate.parse("1/h:3"), Quota.parse("10/day"))
    for _ in range(3):
        meter.charge(account)
    for _ in range(20):
        with pytest.raises(RateLimitError, match="1/h"):
            meter.charge(account)
    assert ledger.used(account.quota_number, 24) == 3


def test_what_is_over_is_forgotten_before_what_is_not(tmp_path: Path) -> None:
    """Where eight of one set were counted: a month that goes on outlasts the days that went by in it."""
    now = [second("2026-02-01T12:00:00")]
    ledger = Ledger.open(tmp_path / "quotas")
    meter = Meter(Ledger.make(), ledger, now=lambda: now[0])
    month = Account("key", "a", "the key a", None, Quota.parse("9/month"))
    for _ in range(5):
        meter.charge(month)

    for day in range(20):
        now[0] = second(f"2026-02-{day + 2:02}T12:00:00")
        other = Account("key", "b", "the key b", None, Quota.parse("9/day"))
        other.quota_number = month.quota_number + 2048 * (day + 1)  # of the same set
        meter.charge(other)

    assert ledger.used(month.quota_number, month.quota.window(now[0])[1] if month.quota else 0) == 5


def test_a_file_that_has_no_quotas_is_left_as_it_is(tmp_path: Path) -> None:
    """It says which one."""
    path = tmp_path / "quotas"
    path.write_bytes(b"x")
    with pytest.raises(FairleadError, match="has no quotas in it") as refused:
        Ledger.open(path)
    assert refused.value.code is Code.DATA_LOSS
    assert path.read_bytes() == b"x"
    with pytest.raises(FairleadError, match="cannot be opened"):
        Ledger.open(tmp_path / "nowhere" / "quotas")
    assert path not in {one.resolve() for one in Path("/proc/self/fd").iterdir()}
