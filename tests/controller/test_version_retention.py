"""Versions that nobody needs are deleted, and no other."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.controller.version_retention import deletable_versions, delete_versions
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.release import Candidate, Mode, Release, earlier_stables

from .live_set import LiveSet

AT = datetime(2026, 3, 2, tzinfo=UTC)


def history(*stables: int, labels: dict[str, int] | None = None, candidate: int | None = None) -> list[Release]:
    """Releases of these stable versions, the last with labels and a candidate."""
    tried = Candidate(version=candidate, mode=Mode.CANARY, weight=0.1, salt="s") if candidate else None
    releases = [
        Release(revision=revision, stable=stable, who="", why="", at=AT) for revision, stable in enumerate(stables, 1)
    ]
    last = Release(
        revision=len(stables), stable=stables[-1], who="", why="", at=AT, labels=labels or {}, candidate=tried
    )
    return [*releases[:-1], last]


@pytest.fixture
def live(tmp_path: Path) -> LiveSet:
    """Six versions of digits, each of them stable once, the sixth now."""
    live = LiveSet(root=tmp_path, url="sqlite:///unused")
    for _ in range(6):
        live.publish()
    return live


@pytest.mark.parametrize(
    ("releases", "in_use", "expected"),
    [
        (history(1, 2, 4, 6), (), (1, 2, 3, 5)),
        (history(1, 2, 4, 6, labels={"old": 2}), (), (1, 3, 5)),
        (history(1, 2, 4, 6, candidate=3), (), (1, 2, 5)),
        (history(1, 2, 4, 6), (5,), (1, 2, 3)),
        (history(1, 2, 4, 6, 4), (), (1, 3)),  # after a rollback from 6 the next one would go to 2
        (history(4), (), (1, 2, 3)),
        (history(1), (), ()),
        ([], (), ()),
    ],
)
def test_what_serves_or_may_be_rolled_back_to_is_kept(
    releases: list[Release], in_use: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    """Stable, candidate, labels, the nearest rollback target, what is in use, and all that is newer than the stable."""
    found = deletable_versions(range(1, 8), releases, keep=0, rollback_targets=1, in_use=in_use)

    assert found == expected


def test_the_newest_are_kept_whatever_they_are() -> None:
    """And more rollback targets if so many are asked for."""
    assert deletable_versions(range(1, 9), history(1, 2, 3, 8), keep=4, rollback_targets=1) == (1, 2, 4)
    assert deletable_versions(range(1, 9), history(1, 2, 3, 8), keep=0, rollback_targets=2) == (1, 4, 5, 6, 7)


@given(
    stables=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    keep=st.integers(0, 14),
    targets=st.integers(1, 5),
    label=st.integers(1, 12),
    candidate=st.integers(1, 12),
)
def test_no_choice_takes_what_is_needed(
    stables: list[int], keep: int, targets: int, label: int, candidate: int
) -> None:
    """For any history: nothing that the release names, no rollback target, nothing newer, and not the newest."""
    releases = history(*stables, labels={"x": label}, candidate=candidate)

    found = set(deletable_versions(range(1, 13), releases, keep=keep, rollback_targets=targets))

    assert not found & releases[-1].versions
    assert not found & set(earlier_stables(releases)[:targets])
    assert all(version < stables[-1] for version in found)
    assert not found & set(range(13 - keep, 13))
    needed = {*releases[-1].versions, *earlier_stables(releases)[:targets], *range(13 - keep, 13)}
    assert found == {version for version in range(1, stables[-1]) if version not in needed}


@pytest.mark.parametrize(("keep", "targets"), [(-1, 1), (1, 0)])
def test_keeping_too_few_is_refused(keep: int, targets: int) -> None:
    """A rollback must stay possible."""
    with pytest.raises(FairleadError) as caught:
        deletable_versions((1,), history(1), keep=keep, rollback_targets=targets)

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_deleted_versions_are_gone_and_the_rest_is_whole(live: LiveSet) -> None:
    """A rollback still finds its target, and numbers are not used again."""
    deleted = delete_versions(live.store, "digits", keep=3, rollback_targets=2)

    assert deleted == (1, 2, 3)
    assert live.check_store() == {"digits": (4, 5, 6)}
    assert not list((live.root / "store/digits").glob(".deleted-*"))
    assert delete_versions(live.store, "digits", keep=3, rollback_targets=2) == ()
    assert live.store.rollback("digits", why="").release.stable == 5
    assert live.publish() == 7


def test_a_writer_at_work_is_waited_for(live: LiveSet) -> None:
    """A version that is just being promoted is judged by the release that comes of it."""
    live.store.promote(ServableId("digits", 2), why="")

    assert delete_versions(live.store, "digits", keep=0, rollback_targets=1) == ()
    assert live.check_store() == {"digits": (1, 2, 3, 4, 5, 6)}


KILLED = """
import os, shutil, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from fairlead.controller.version_retention import delete_versions
from fairlead.store.store import Store
real = shutil.rmtree
def die(path, *rest, **named):
    os.unlink(Path(path) / "model.onnx")
    os.kill(os.getpid(), signal.SIGKILL)
shutil.rmtree = die
delete_versions(Store(Path(sys.argv[1])), "digits", keep=1, rollback_targets=1)
"""


def test_killed_in_the_middle_no_version_is_half_there(live: LiveSet) -> None:
    """What was begun is out of sight at once, and the next call removes it."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(live.root / "store")], timeout=60, check=False)

    assert done.returncode == -9
    assert live.check_store() == {"digits": (5, 6)}
    assert len(list((live.root / "store/digits").glob(".deleted-*"))) == 4
    assert delete_versions(live.store, "digits", keep=1, rollback_targets=1) == ()
    assert not list((live.root / "store/digits").glob(".deleted-*"))
