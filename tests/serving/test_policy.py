"""The policy needs no fake: snapshots in, one action out."""

from __future__ import annotations

import doctest
import itertools

import pytest

import fairlead.serving.policy
from fairlead.serving.policy import Action, Do, Snapshot, next_action
from fairlead.serving.status import State


def snapshot(version: int, state: State, role: str = "", *, is_due: bool = True) -> Snapshot:
    """A version that is stable, aspired (but not stable) or, with no role, unwanted."""
    return Snapshot(version=version, state=state, is_aspired=role != "", is_default=role == "stable", is_due=is_due)


def test_nothing_is_done_when_all_is_as_it_should_be() -> None:
    """The stable version answers and nothing else is up."""
    assert next_action([snapshot(1, State.AVAILABLE, "stable"), snapshot(0, State.END)]) is None
    assert next_action([]) is None


def test_the_stable_version_is_loaded_before_others() -> None:
    """Whatever the numbers, what callers wait for comes first."""
    versions = [snapshot(9, State.START, "aspired"), snapshot(3, State.START, "stable")]

    assert next_action(versions) == Action(Do.LOAD, 3)


def test_the_new_is_loaded_before_the_old_is_unloaded() -> None:
    """Availability comes before memory."""
    versions = [snapshot(1, State.AVAILABLE), snapshot(2, State.START, "stable")]

    assert next_action(versions) == Action(Do.LOAD, 2)


@pytest.mark.parametrize("state", [State.START, State.LOADING, State.END])
def test_the_old_stays_while_the_new_cannot_answer(state: State) -> None:
    """A version that loads, or failed to, takes nothing away."""
    versions = [snapshot(1, State.AVAILABLE), snapshot(2, state, "stable", is_due=False)]

    assert next_action(versions) is None


def test_the_old_goes_once_the_new_answers() -> None:
    """The oldest first."""
    versions = [
        snapshot(2, State.AVAILABLE),
        snapshot(1, State.AVAILABLE),
        snapshot(3, State.AVAILABLE, "stable"),
    ]

    assert next_action(versions) == Action(Do.UNLOAD, 1)


def test_a_labelled_version_does_not_push_the_old_out() -> None:
    """Only the stable one stands in for the stable one."""
    versions = [
        snapshot(1, State.AVAILABLE),
        snapshot(2, State.LOADING, "stable"),
        snapshot(3, State.AVAILABLE, "aspired"),
    ]

    assert next_action(versions) is None


def test_a_failed_load_is_tried_again_when_it_is_due() -> None:
    """And not before."""
    assert next_action([snapshot(1, State.END, "stable", is_due=False)]) is None
    assert next_action([snapshot(1, State.END, "stable")]) == Action(Do.LOAD, 1)


def test_when_nothing_is_wanted_everything_goes() -> None:
    """There is nothing left to be available for."""
    assert next_action([snapshot(1, State.AVAILABLE)]) == Action(Do.UNLOAD, 1)


def test_following_the_policy_never_leaves_a_served_model_without_an_answer() -> None:
    """From every mix of three versions' states, acting until rest keeps an answer and ends with the stable one."""
    loaded = {Do.LOAD: State.AVAILABLE, Do.UNLOAD: State.END}
    for states in itertools.product([State.START, State.AVAILABLE, State.END], repeat=3):
        versions = {
            number: snapshot(number, state, "stable" if number == 2 else "") for number, state in enumerate(states)
        }
        answered = any(v.state is State.AVAILABLE for v in versions.values())
        for _ in range(10):
            action = next_action(versions.values())
            if action is None:
                break
            old = versions[action.version]
            versions[action.version] = snapshot(old.version, loaded[action.do], "stable" if old.is_default else "")
            if answered:
                assert any(v.state is State.AVAILABLE for v in versions.values()), states

        assert {v.version for v in versions.values() if v.state is State.AVAILABLE} == {2}, states


def test_the_docstring_example_is_true() -> None:
    """Examples in the docs are run."""
    assert doctest.testmod(fairlead.serving.policy).failed == 0
