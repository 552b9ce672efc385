"""The three policies, and how they are written."""

from __future__ import annotations

import doctest

import pytest

import fairlead.serving.version_policy
from fairlead.errors import Code, FairleadError
from fairlead.serving.version_policy import LATEST, VersionPolicy


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("latest", {9}),
        ("latest:1", {9}),
        ("latest:3", {9, 4, 3}),
        ("latest:99", {1, 3, 4, 9}),
        ("all", {1, 3, 4, 9}),
        ("specific:4", {4}),
        ("specific:1,9,77", {1, 9}),
        ("specific:77", set()),
        ("specific:", set()),
    ],
)
def test_a_policy_chooses_among_what_is_there(text: str, chosen: set[int]) -> None:
    """By number, whatever the order they are found in."""
    assert VersionPolicy.parse(text).choose([3, 9, 1, 4]) == chosen
    assert VersionPolicy.parse(str(VersionPolicy.parse(text))) == VersionPolicy.parse(text)
    assert VersionPolicy.parse(text).choose([]) == set()


def test_a_list_of_none_chooses_none() -> None:
    """It is not the same as no list."""
    assert VersionPolicy(specific=frozenset()).choose([1, 2]) == set()
    assert VersionPolicy.parse("latest") == LATEST


@pytest.mark.parametrize(
    "text", ["", "newest", "latest:0", "latest:-1", "latest:", "specific", "specific:1,,2", "all "]
)
def test_other_texts_are_refused(text: str) -> None:
    """With what may be written instead."""
    with pytest.raises(FairleadError) as caught:
        VersionPolicy.parse(text)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert f"{text!r} is not a version policy" in caught.value.message
    assert "specific:3,7" in caught.value.hint


def test_the_example_is_true() -> None:
    """In the docstring."""
    assert doctest.testmod(fairlead.serving.version_policy).failed == 0
