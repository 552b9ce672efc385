"""Views of workers in, one action out."""

from __future__ import annotations

import doctest
from dataclasses import replace

import pytest

import fairlead.app.supervision.policy
from fairlead.app.supervision.policy import PATIENCE_S, Action, Do, View, next_action, restart_delay

NEW = View(worker=0, seat=0)
UP = replace(NEW, is_accepting=True, is_started=True, is_ready=True)
OLD = replace(UP, is_current=False)


def decide(*workers: View, due: frozenset[int] = frozenset({0, 1}), was_started: bool = True) -> Action | None:
    """The next action for workers that are numbered as they come."""
    numbered = [replace(worker, worker=number) for number, worker in enumerate(workers)]
    return next_action(numbered, due, was_started=was_started)


def test_every_vacant_seat_is_filled() -> None:
    """Those of workers that leave as well; but not before its delay has passed."""
    leaving = replace(UP, is_leaving=True)

    assert decide() == Action(Do.START, 0)
    assert decide(UP) == Action(Do.START, 1)
    assert decide(leaving, replace(UP, seat=1)) == Action(Do.START, 0)
    assert decide(UP, due=frozenset({0})) is None
    assert decide(UP, replace(UP, seat=1)) is None


def test_the_first_worker_of_a_service_answers_at_once() -> None:
    """Probes are answered before any model is loaded, by one worker only."""
    first = decide(NEW, replace(NEW, seat=1), was_started=False)
    greeter = replace(NEW, is_accepting=True)

    assert first == Action(Do.ACCEPT, 0, 0)
    assert decide(greeter, replace(NEW, seat=1), was_started=False) is None


def test_a_worker_that_has_loaded_waits_for_the_one_that_greets() -> None:
    """Or a client that was told "ready" would meet the one that is not."""
    greeter = replace(NEW, is_accepting=True)
    loaded = replace(NEW, seat=1, is_started=True, is_ready=True)

    assert decide(greeter, loaded) is None
    assert decide(UP, loaded) == Action(Do.ACCEPT, 1, 1)


def test_a_worker_takes_no_connection_before_its_models_are_loaded() -> None:
    """Another can answer; and when none can, clients wait behind the port for a while."""
    assert decide(UP, replace(NEW, seat=1)) is None
    assert decide(NEW, due=frozenset({0})) is None
    assert decide(replace(NEW, age_s=PATIENCE_S), due=frozenset({0})) == Action(Do.ACCEPT, 0, 0)


def test_workers_are_replaced_one_by_one() -> None:
    """The new one accepts before the old one drains, and the old one is gone before the next is replaced."""
    second_old = replace(OLD, seat=1)
    loaded = replace(NEW, is_started=True, is_ready=True)
    gone = replace(OLD, is_leaving=True)

    assert decide(OLD, second_old) == Action(Do.START, 0)
    assert decide(OLD, second_old, NEW) is None
    assert decide(OLD, second_old, loaded) == Action(Do.ACCEPT, 0, 2)
    assert decide(OLD, second_old, UP) == Action(Do.DRAIN, 0, 0)
    assert decide(gone, second_old, UP) is None
    assert decide(second_old, UP) == Action(Do.START, 1)
    assert decide(UP, replace(UP, seat=1)) is None


def test_a_ready_worker_is_not_replaced_by_one_that_is_not() -> None:
    """But one with the same trouble may follow it."""
    unready = replace(UP, is_ready=False)

    assert decide(OLD, replace(UP, seat=1), unready) is None
    assert decide(replace(OLD, is_ready=False), replace(UP, seat=1), unready) == Action(Do.DRAIN, 0, 0)


def test_more_wishes_for_new_workers_start_no_more_at_once() -> None:
    """A replacement that is outdated itself comes up first and is replaced then."""
    outdated = replace(NEW, is_current=False)

    assert decide(OLD, replace(OLD, seat=1), outdated) is None
    assert decide(OLD, replace(OLD, seat=1), OLD) == Action(Do.DRAIN, 0, 0)


@pytest.mark.parametrize("deaths", range(200))
def test_the_delay_is_bounded(deaths: int) -> None:
    """The first death costs nothing, and however many there were a try is made twice a minute."""
    assert 0 <= restart_delay(deaths) <= restart_delay(deaths + 1) <= 5
    assert (restart_delay(deaths) == 0) is (deaths <= 1)


def test_the_examples() -> None:
    """Those in the docstrings."""
    assert doctest.testmod(fairlead.app.supervision.policy).failed == 0
