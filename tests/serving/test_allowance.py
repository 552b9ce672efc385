"""What is done of a stream that comes faster than it needs to be looked at."""

from __future__ import annotations

import random

import pytest

from fairlead.serving.allowance import Allowance


class Clock:
    """A hand on the time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def taken(allowance: Allowance, clock: Clock, *, batches: int, rows: int, every_s: float) -> int:
    """How many rows are taken of batches that come one after the other."""
    count = 0
    for _ in range(batches):
        clock.now += every_s
        count += rows if allowance.take(rows) else 0
    return count


@pytest.mark.parametrize("rows", [1, 8, 128])
@pytest.mark.parametrize("factor", [2, 7, 50])
def test_of_a_fast_stream_as_many_rows_are_taken_as_may_be(rows: int, factor: int) -> None:
    """A hundred a second, however many come and in whatever pieces."""
    clock = Clock()
    allowance = Allowance(100, clock)
    every_s = rows / (100 * factor)

    found = taken(allowance, clock, batches=int(60 / every_s), rows=rows, every_s=every_s)

    assert 6000 <= found <= 6100 + 2 * rows


def test_of_a_slow_stream_all_rows_are_taken_though_they_come_in_bursts() -> None:
    """Nine tenths of what may be, at random moments: hardly one is left out."""
    clock, rng = Clock(), random.Random(4)
    allowance = Allowance(100, clock)

    found = sum(taken(allowance, clock, batches=1, rows=1, every_s=rng.expovariate(90)) for _ in range(10_000))

    assert found >= 9_900


def test_what_is_owed_is_waited_for() -> None:
    """A batch is never cut: one of five seconds' worth is followed by none for four, for one was saved."""
    clock = Clock()
    allowance = Allowance(100, clock)

    assert allowance.take(500)
    clock.now += 3.99
    assert not allowance.take(1)
    clock.now += 0.02
    assert allowance.take(1)
