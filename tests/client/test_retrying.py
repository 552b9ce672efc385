"""When a call is made again."""

from __future__ import annotations

import pytest

from fairlead.client.call_error import CallError
from fairlead.client.retrying import Attempts, Budget
from fairlead.errors import Code, FairleadError

BUSY = CallError(Code.UNAVAILABLE, "busy", is_passing=True)


def attempts(retries: int = 100, deadline: float = 1000.0, budget: Budget | None = None) -> Attempts:
    """At second 0 of a clock that stands still, with the longest pauses."""
    return Attempts(retries, deadline, budget or Budget(), clock=lambda: 0.0, jitter=lambda _, most: most)


def test_pauses_double_up_to_a_bound() -> None:
    """From a tenth of a second to two seconds."""
    made = attempts()

    assert [made.pause(BUSY) for _ in range(7)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


def test_pauses_are_random_from_nothing_on() -> None:
    """Those that failed together do not come back together."""
    made = [Attempts(9, 1000.0, Budget(), clock=lambda: 0.0) for _ in range(50)]
    pauses = [one.pause(BUSY) for one in made]

    assert min(pauses) < 0.05 < max(pauses) <= 0.1


def test_what_the_server_says_comes_first() -> None:
    """The random part is behind it, so that not all come at once."""
    error = CallError(Code.RESOURCE_EXHAUSTED, "later", is_passing=True, retry_after_s=7.0)

    assert attempts().pause(error) == pytest.approx(7.1)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (attempts(retries=0), BUSY),
        (attempts(deadline=0.1), BUSY),
        (attempts(deadline=3600.0), CallError(Code.RESOURCE_EXHAUSTED, "x", is_passing=True, retry_after_s=7200.0)),
        (attempts(), CallError(Code.RESOURCE_EXHAUSTED, "a body that is too large")),
        (attempts(), FairleadError(Code.UNAVAILABLE, "of somebody else")),
        (attempts(), FairleadError(Code.INVALID_ARGUMENT, "never")),
    ],
    ids=["no retries", "no time", "later than the deadline", "does not pass", "not of a call", "invalid"],
)
def test_what_is_not_tried_again_is_raised_at_once(made: Attempts, error: FairleadError) -> None:
    """Nobody waits for an attempt that is not made."""
    with pytest.raises(FairleadError) as caught:
        made.pause(error)

    assert caught.value is error


def test_retries_end_after_so_many() -> None:
    """As many as were asked for."""
    made = attempts(retries=2)
    made.pause(BUSY)
    made.pause(BUSY)

    with pytest.raises(CallError):
        made.pause(BUSY)


def test_a_client_does_not_storm() -> None:
    """50 failures in a row and nothing is retried any more; ten answers allow one retry more."""
    budget = Budget()
    made = attempts(budget=budget)
    for _ in range(49):
        made.pause(BUSY)
    with pytest.raises(CallError):
        made.pause(BUSY)
    with pytest.raises(CallError):
        attempts(budget=budget).pause(BUSY)

    for _ in range(25):
        made.succeeded()
    attempts(budget=budget).pause(BUSY)
    with pytest.raises(CallError):
        attempts(budget=budget).pause(BUSY)


def test_a_refusal_is_an_answer() -> None:
    """A server that says no is well."""
    budget = Budget()
    made = attempts(budget=budget)
    for _ in range(49):
        made.pause(BUSY)
    for _ in range(11):
        with pytest.raises(FairleadError):
            made.pause(FairleadError(Code.INVALID_ARGUMENT, "no"))

    made.pause(BUSY)
