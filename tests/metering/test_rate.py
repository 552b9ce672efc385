"""What is a rate, and what is none."""

from __future__ import annotations

import pytest

from fairlead.metering.rate import Rate


@pytest.mark.parametrize(
    ("text", "interval_ns", "burst"),
    [
        ("100/s", 10_000_000, 100),
        ("6000/m", 10_000_000, 100),
        ("10/h", 360_000_000_000, 1),
        ("100/s:200", 10_000_000, 200),
        ("1000000/s:1000000", 1000, 1_000_000),
    ],
)
def test_a_rate_says_how_often_and_how_many_at_once(text: str, interval_ns: int, burst: int) -> None:
    """What is saved up is a second's worth unless it is said; as a text it comes back."""
    rate = Rate.parse(text)

    assert (rate.interval_ns, rate.burst) == (interval_ns, burst)
    assert Rate.parse(str(rate)) == rate


NONE = [
    "",
    "0/s",
    "-1/s",
    "1.5/s",
    "100",
    "100/d",
    "100/fortnight",
    "/s",
    "1000001/s",
    "1/s:0",
    "1/s:x",
    "1/s:",
    "\u0661/s",
]


@pytest.mark.parametrize("text", [*NONE, "9" * 100 + "/s", "1/s:1000001"])
def test_anything_else_is_none(text: str) -> None:
    """The refusal says how it is written."""
    with pytest.raises(ValueError, match=r"must be a (rate|burst), from 1 to 1000000"):
        Rate.parse(text)
