"""Which version answers."""

from __future__ import annotations

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.serving.router import choose
from fairlead.serving.source import Aspired
from fairlead.serving.target import Target

ASPIRED = Aspired(stable=2, labels={"canary": 3}, revision=5)


def refusal(target: Target, aspired: Aspired | None, available: set[int], last: int | None = None) -> FairleadError:
    """The error that choosing raises."""
    with pytest.raises(FairleadError) as caught:
        choose(target, aspired, available, last)
    return caught.value


def test_a_caller_who_names_no_version_gets_the_stable_one() -> None:
    """Not the newest."""
    assert choose(Target(model="m"), ASPIRED, {1, 2, 3}, 1) == 2


def test_while_the_stable_one_is_not_up_the_last_one_answers() -> None:
    """A promotion in progress fails no request."""
    assert choose(Target(model="m"), ASPIRED, {1, 3}, 1) == 1
    assert choose(Target(model="m", label="stable"), ASPIRED, {1, 3}, 1) == 1


def test_a_candidate_never_answers_by_default() -> None:
    """What was not made stable is served to those who ask for it by name alone."""
    error = refusal(Target(model="m"), ASPIRED, {3})

    assert (error.code, error.message) == (Code.NOT_FOUND, "Servable not found for request: Latest(m)")


def test_a_version_is_served_by_its_number_while_it_is_up() -> None:
    """And not found when it is not."""
    assert choose(Target(model="m", version=3), ASPIRED, {2, 3}, 2) == 3
    error = refusal(Target(model="m", version=9), ASPIRED, {2, 3})
    assert (error.code, error.message) == (Code.NOT_FOUND, "Servable not found for request: Specific(m, 9)")


def test_a_label_names_its_version() -> None:
    """A label whose version is not up is not found under that version's number."""
    assert choose(Target(model="m", label="canary"), ASPIRED, {2, 3}, 2) == 3
    assert choose(Target(model="m", label="stable"), ASPIRED, {2, 3}, 2) == 2
    assert "Specific(m, 3)" in refusal(Target(model="m", label="canary"), ASPIRED, {2}).message


@pytest.mark.parametrize("aspired", [ASPIRED, None])
def test_an_unknown_label_is_a_bad_argument(aspired: Aspired | None) -> None:
    """Also when the model is unknown, as TensorFlow Serving has it."""
    error = refusal(Target(model="m", label="nosuch"), aspired, {2, 3})

    assert (error.code, error.message) == (Code.INVALID_ARGUMENT, "Unrecognized servable version label: nosuch")


def test_an_unknown_model_is_not_found() -> None:
    """In TensorFlow Serving's words."""
    assert refusal(Target(model="nope"), None, set()).message == "Servable not found for request: Latest(nope)"
