"""Releases are values, and rollbacks know where they came from."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime

import pytest

import fairlead.store.release
from fairlead.errors import Code, FairleadError
from fairlead.store.release import Candidate, Mode, Note, Release, earlier_stables

AT = datetime(2026, 1, 1, tzinfo=UTC)
NOTE = Note(who="x", why="y", at=AT)


def release(revision: int, stable: int) -> Release:
    """A release by its two numbers."""
    return Release(revision=revision, stable=stable, who="tester", why="because", at=AT)


def history(*stables: int) -> list[Release]:
    """Releases that made these versions stable, in this order."""
    return [release(revision, stable) for revision, stable in enumerate(stables, 1)]


@pytest.mark.parametrize(
    ("stables", "expected"),
    [
        ([], ()),
        ([1], ()),
        ([1, 2], (1,)),
        ([1, 2, 3], (2, 1)),
        ([1, 2, 1], ()),
        ([1, 2, 3, 2], (1,)),
        ([1, 2, 3, 2, 4], (2, 1)),
        ([1, 2, 2, 2], (1,)),
        ([1, 2, 1, 2], (1,)),
    ],
)
def test_a_rollback_never_returns_to_what_was_fled(stables: list[int], expected: tuple[int, ...]) -> None:
    """Promotions stack up; a return to an earlier version takes everything above it off the stack."""
    assert earlier_stables(history(*stables)) == expected


def test_a_release_survives_its_file() -> None:
    """What is decoded equals what was encoded."""
    before = release(3, 2).with_label("canary", 4, Note(who="a", why="b", at=AT))

    assert Release.decode(before.encode()) == before
    assert before.versions == {2, 4}
    assert before.resolve("canary") == 4
    assert before.resolve("stable") == 2
    assert before.resolve("nosuch") is None


def test_each_change_takes_the_next_revision() -> None:
    """A release is never edited: a change is a new one."""
    first = release(1, 1)
    second = first.with_stable(2, NOTE)

    assert (first.revision, first.stable) == (1, 1)
    assert (second.revision, second.stable) == (2, 2)


def test_a_candidate_survives_the_file() -> None:
    """A candidate, its mode, weight and salt, and the evidence of the change are read back as they were written."""
    note = Note(who="a", why="b", at=AT, evidence={"looks": 3})
    before = release(3, 2).with_candidate(Candidate(version=5, mode=Mode.CANARY, weight=0.1, salt="s"), note)

    assert Release.decode(before.encode()) == before
    assert before.versions == {2, 5}


def test_a_new_stable_version_ends_the_trial() -> None:
    """Whether the candidate was promoted or another version is, nothing is tried any more."""
    trying = release(1, 1).with_candidate(Candidate(version=2, mode=Mode.AB, weight=0.5, salt="s"), NOTE)

    assert trying.with_stable(2, NOTE).candidate is None
    assert trying.with_label("new", 2, NOTE).candidate == trying.candidate


@pytest.mark.parametrize("weight", [0.0, -0.1, 1.0001, float("nan")])
def test_a_weight_is_a_share(weight: float) -> None:
    """A candidate that gets nothing, or more than all there is, is refused with its weight."""
    with pytest.raises(FairleadError, match="weight"):
        Candidate(version=2, mode=Mode.CANARY, weight=weight, salt="s")


def test_the_label_stable_cannot_be_set() -> None:
    """It follows promotions, so that two words never mean two versions."""
    with pytest.raises(FairleadError) as caught:
        release(1, 1).with_label("stable", 2, NOTE)

    assert caught.value.code is Code.INVALID_ARGUMENT


GOOD = release(1, 1).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"schema_version": 1}',
        b"\xff",
        b"null",
        b"[" * 100_000,
        GOOD.replace(b'"stable": 1', b'"stable": 1e999'),
        GOOD.replace(b"+00:00", b""),
    ],
)
def test_a_damaged_release_is_data_loss(data: bytes) -> None:
    """Whatever the bytes, the error is ours and names the file."""
    with pytest.raises(FairleadError, match=r"here/release\.json") as caught:
        Release.decode(data, "here/release.json")

    assert caught.value.code is Code.DATA_LOSS


def test_a_newer_schema_is_refused_with_the_way_out() -> None:
    """An old reader does not guess at a new file."""
    data = release(1, 1).encode().replace(b'"schema_version": 1', b'"schema_version": 2')

    with pytest.raises(FairleadError, match="pip install --upgrade fairlead") as caught:
        Release.decode(data)

    assert caught.value.code is Code.FAILED_PRECONDITION


def test_the_docstring_examples_are_true() -> None:
    """Examples in the docs are run."""
    assert doctest.testmod(fairlead.store.release).failed == 0
