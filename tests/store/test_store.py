"""Versions appear whole, never change unseen, and releases move by one writer at a time."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store import files
from fairlead.store.release import Candidate, Mode
from fairlead.store.store import Version
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE


def describe(version: int, digests: Mapping[str, str]) -> Manifest:
    """The manifest of a version of the model m."""
    return Manifest(
        model="m",
        version=version,
        runtime="onnx",
        signature=DIGIT_SIGNATURE,
        labels=(),
        files=digests,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def publish(store: WritableStore, content: bytes = b"weights") -> Version:
    """Publish one small file."""
    source = store.root.parent / "source.bin"
    source.write_bytes(content)
    return store.publish("m", {"model.onnx": source}, describe)


def refuse(store: WritableStore, version: int = 1) -> FairleadError:
    """The error that opening the version raises."""
    with pytest.raises(FairleadError) as caught:
        store.open(ServableId("m", version))
    return caught.value


def test_versions_count_up_from_one(store: WritableStore) -> None:
    """Each publish takes the next number."""
    assert [publish(store).manifest.version for _ in range(3)] == [1, 2, 3]
    assert store.versions("m") == (1, 2, 3)
    assert store.models() == ("m",)


def test_what_was_published_opens(store: WritableStore) -> None:
    """An untouched version passes its own digests."""
    published = publish(store)

    assert store.open(ServableId("m", 1)) == published


def test_a_number_is_not_used_twice(store: WritableStore) -> None:
    """A version that was released and then deleted leaves its number behind."""
    publish(store)
    publish(store)
    store.promote(ServableId("m", 2), why="")
    for name in ("model.onnx", "manifest.json"):
        (store.root / "m" / "2" / name).unlink()
    (store.root / "m" / "2").rmdir()

    assert publish(store).manifest.version == 3


def test_every_changed_byte_is_seen(store: WritableStore) -> None:
    """Flip each byte of the model in turn: none is served."""
    path = publish(store, bytes(range(256))).directory / "model.onnx"
    whole = path.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)

        assert refuse(store).code is Code.DATA_LOSS
    path.write_bytes(whole)
    store.open(ServableId("m", 1))


def test_a_truncated_file_is_refused(store: WritableStore) -> None:
    """Both digests are in the message."""
    path = publish(store).directory / "model.onnx"
    path.write_bytes(b"weigh")

    assert "SHA-256" in refuse(store).message


def test_a_foreign_file_is_refused(store: WritableStore) -> None:
    """Every file of a version is in its manifest."""
    (publish(store).directory / "extra.so").write_bytes(b"x")

    assert "extra.so" in refuse(store).message


def test_a_missing_file_is_refused(store: WritableStore) -> None:
    """What the manifest lists must be there."""
    (publish(store).directory / "model.onnx").unlink()

    assert refuse(store).code is Code.DATA_LOSS


def test_a_link_in_place_of_a_file_is_refused(store: WritableStore, tmp_path: Path) -> None:
    """Even one that leads to the same bytes: it could lead elsewhere a moment later."""
    path = publish(store).directory / "model.onnx"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")

    assert refuse(store).code is Code.DATA_LOSS


def test_a_pipe_in_place_of_a_file_is_refused_at_once(store: WritableStore) -> None:
    """Nothing waits for a writer that never comes."""
    path = publish(store).directory / "model.onnx"
    path.unlink()
    os.mkfifo(path)

    assert "not a regular file" in refuse(store).message


def test_the_manifest_of_another_version_is_refused(store: WritableStore) -> None:
    """A copied directory does not become a version."""
    publish(store)
    publish(store)
    first, second = (store.root / "m" / v / "manifest.json" for v in ("1", "2"))
    second.write_bytes(first.read_bytes())

    assert "is the manifest of m@1, not of m@2" in refuse(store, 2).message


@pytest.mark.parametrize("name", ["0", "01", "-1", "1.5", "latest", str(2**63), "٣", " 1"])
def test_only_plain_numbers_are_versions(store: WritableStore, name: str) -> None:
    """Whatever else lies there is left alone."""
    directory = publish(store).directory
    directory.rename(directory.parent / name)

    assert store.versions("m") == ()


def test_a_directory_without_a_manifest_is_no_version(store: WritableStore) -> None:
    """It is named as unfinished, and its number is not reused."""
    publish(store)
    (store.root / "m" / "7").mkdir()

    assert store.versions("m") == (1,)
    assert store.unfinished("m") == ("7",)
    assert publish(store).manifest.version == 8


def test_the_first_promotion_is_the_first_release(store: WritableStore) -> None:
    """Nothing is released before somebody says so."""
    publish(store)
    assert store.release("m") is None

    release = store.promote(ServableId("m", 1), why="first")

    assert (release.revision, release.stable, release.who, release.why) == (1, 1, "tester", "first")
    assert store.release("m") == release


def test_a_repeated_promotion_changes_nothing(store: WritableStore) -> None:
    """It is safe to say it again."""
    publish(store)

    assert store.promote(ServableId("m", 1), why="a") == store.promote(ServableId("m", 1), why="b")
    assert len(store.history("m")) == 1


def test_a_promotion_decided_on_an_older_release_is_refused(store: WritableStore) -> None:
    """Of two that both found nothing released, one is first."""
    publish(store)
    publish(store)
    store.promote(ServableId("m", 1), why="", expected=0)

    with pytest.raises(FairleadError, match="at revision 1, no longer 0") as caught:
        store.promote(ServableId("m", 2), why="", expected=0)

    assert caught.value.code is Code.ABORTED
    assert store.promote(ServableId("m", 2), why="", expected=1).stable == 2


def test_a_damaged_version_is_not_promoted(store: WritableStore) -> None:
    """All its bytes are checked first, and the release stays."""
    publish(store)
    publish(store)
    store.promote(ServableId("m", 1), why="")
    (store.root / "m" / "2" / "model.onnx").write_bytes(b"other")

    with pytest.raises(FairleadError, match="SHA-256"):
        store.promote(ServableId("m", 2), why="")

    assert store.history("m")[-1].stable == 1


def test_an_unknown_version_is_not_promoted(store: WritableStore) -> None:
    """The error lists what is there."""
    publish(store)

    with pytest.raises(FairleadError, match="m has no version 9: it has 1") as caught:
        store.promote(ServableId("m", 9), why="")

    assert caught.value.code is Code.NOT_FOUND


def test_promoting_an_unknown_model_leaves_no_trace(store: WritableStore) -> None:
    """A typing error does not make a model."""
    publish(store)

    with pytest.raises(FairleadError, match="there is no model 'nosuch'") as caught:
        store.promote(ServableId("nosuch", 1), why="")

    assert caught.value.hint == "models there: m"
    assert not (store.root / "nosuch").exists()


def test_rolling_an_unknown_model_back_leaves_no_trace(store: WritableStore) -> None:
    """A typing error does not make a model here either."""
    publish(store)

    with pytest.raises(FairleadError, match="there is no model 'nosuch'"):
        store.rollback("nosuch", why="")

    assert not (store.root / "nosuch").exists()


@pytest.mark.parametrize("name", ["../m", "m/../m", "", ".", "..", "a b", "m\0", "-m", "m#", "%2e%2e", "a" * 65])
def test_a_name_never_leads_out_of_the_store(store: WritableStore, name: str) -> None:
    """Paths are built from checked names only."""
    publish(store)

    with pytest.raises(FairleadError) as caught:
        store.open(ServableId(name, 1))

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_rollback_returns_to_the_version_before(store: WritableStore) -> None:
    """And a second one goes further back, not forward again."""
    for version in (1, 2, 3):
        publish(store)
        store.promote(ServableId("m", version), why="")

    first = store.rollback("m", why="bad")
    second = store.rollback("m", why="worse")

    assert (first.left, first.release.stable) == (3, 2)
    assert (second.left, second.release.stable) == (2, 1)
    assert [release.stable for release in store.history("m")] == [1, 2, 3, 2, 1]
    with pytest.raises(FairleadError, match="no earlier stable version"):
        store.rollback("m", why="")


def test_rollback_passes_over_a_damaged_version_and_says_so(store: WritableStore) -> None:
    """The safety lever finds the nearest version that can serve."""
    for version in (1, 2, 3):
        publish(store)
        store.promote(ServableId("m", version), why="")
    (store.root / "m" / "2" / "model.onnx").write_bytes(b"rot")

    rollback = store.rollback("m", why="")

    assert rollback.release.stable == 1
    assert "SHA-256" in rollback.passed_over[2]


def test_rollback_to_a_named_version(store: WritableStore) -> None:
    """Any whole version will do, also a newer one."""
    for version in (1, 2, 3):
        publish(store)
        store.promote(ServableId("m", version), why="")

    assert store.rollback("m", why="", to=1).release.stable == 1
    assert store.rollback("m", why="", to=3).release.stable == 3


def test_a_damaged_release_can_be_rolled_back_and_promoted_over(store: WritableStore) -> None:
    """The history stands in for it, and revisions go on counting."""
    for version in (1, 2):
        publish(store)
        store.promote(ServableId("m", version), why="")
    (store.root / "m" / "release.json").write_bytes(b"\0\0\0")

    release = store.rollback("m", why="").release

    assert (release.revision, release.stable) == (3, 1)
    assert store.release("m") == release


def test_a_label_needs_a_stable_version_and_a_whole_one(store: WritableStore) -> None:
    """Labels are promises to callers, so they are checked like promotions."""
    publish(store)
    publish(store)
    with pytest.raises(FairleadError, match="no stable version yet"):
        store.promote(ServableId("m", 2), why="", label="canary")
    store.promote(ServableId("m", 1), why="")

    release = store.promote(ServableId("m", 2), why="", label="canary")

    assert (release.stable, dict(release.labels), release.revision) == (1, {"canary": 2}, 2)


def test_concurrent_writers_lose_no_update(store: WritableStore) -> None:
    """Sixty promotions and rollbacks from eight threads make one straight history."""
    for _ in range(4):
        publish(store)
    store.promote(ServableId("m", 1), why="")

    def promote(turn: int) -> int:
        other = WritableStore(store.root, now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who=str(turn))
        return other.rollback("m", why="", to=turn % 4 + 1).release.revision

    with ThreadPoolExecutor(8) as pool:
        revisions = list(pool.map(promote, range(60)))

    assert sorted(revisions) == list(range(2, 62))
    assert [release.revision for release in store.history("m")] == list(range(1, 62))


def test_a_second_writer_waits_and_then_gives_up(tmp_path: Path) -> None:
    """One writer at a time, and nobody waits for ever."""
    lock = tmp_path / ".lock"
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with files.exclusive(lock):
            is_held.set()
            may_go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait(10)
    with (
        pytest.raises(FairleadError, match=r"another writer has held .* for 0.05 s") as caught,
        files.exclusive(lock, 0.05),
    ):
        pass
    may_go.set()
    holder.join()

    assert caught.value.code is Code.ABORTED
    with files.exclusive(lock, 0.05):
        pass


def test_a_store_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    """The hint is a command."""
    with pytest.raises(FairleadError, match="does not exist") as caught:
        WritableStore(tmp_path / "nosuch", now=lambda: datetime.now(UTC), who="").check()

    assert caught.value.hint.startswith("fairlead train digits")


def test_a_directory_of_something_else_is_not_a_store(tmp_path: Path) -> None:
    """Names of what lies there help to see the mistake."""
    (tmp_path / "photos").mkdir()

    with pytest.raises(FairleadError, match="it holds photos") as caught:
        WritableStore(tmp_path, now=lambda: datetime.now(UTC), who="").check()

    assert caught.value.code is Code.FAILED_PRECONDITION


def test_an_empty_directory_may_become_a_store(tmp_path: Path) -> None:
    """A server may be started before the first model is published."""
    WritableStore(tmp_path, now=lambda: datetime.now(UTC), who="").check()


def test_a_file_cannot_be_a_store(tmp_path: Path) -> None:
    """It is said plainly."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(FairleadError, match="is not a directory"):
        WritableStore(tmp_path / "file", now=lambda: datetime.now(UTC), who="").check()


def test_a_write_that_fails_is_named(store: WritableStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk stops a publish before anything appears, and the next one succeeds."""

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(FairleadError, match="No space left") as caught:
            publish(store)

    assert caught.value.code is Code.RESOURCE_EXHAUSTED
    assert store.versions("m") == ()
    assert publish(store).manifest.version == 1


def canary(version: int, weight: float = 0.1) -> Candidate:
    """A canary of that version."""
    return Candidate(version=version, mode=Mode.CANARY, weight=weight, salt="s")


def test_a_candidate_is_tried_beside_the_stable_version(store: WritableStore) -> None:
    """Trying a version, giving it more and giving it up are releases that leave the stable version as it is."""
    publish(store)
    publish(store)
    store.promote(ServableId("m", 1), why="first")

    tried = store.try_candidate("m", canary(2), why="try", expected=1)
    again = store.try_candidate("m", canary(2), why="try")
    more = store.try_candidate("m", canary(2, 0.5), why="more", evidence={"rows": 7})
    ended = store.try_candidate("m", None, why="enough")

    assert [one.revision for one in (tried, again, more, ended)] == [2, 2, 3, 4]
    assert (more.stable, more.candidate, more.evidence) == (1, canary(2, 0.5), {"rows": 7})
    assert (ended.stable, ended.candidate) == (1, None)
    assert store.release("m") == ended


def test_promoting_the_candidate_ends_its_trial(store: WritableStore) -> None:
    """The stable version is never its own candidate; promoting the stable one again ends whatever was tried."""
    publish(store)
    publish(store)
    store.promote(ServableId("m", 1), why="first")
    store.try_candidate("m", canary(2), why="try")
    assert store.promote(ServableId("m", 1), why="enough").candidate is None

    store.try_candidate("m", canary(2), why="try")
    promoted = store.promote(ServableId("m", 2), why="good", evidence={"rows": 9})

    assert (promoted.stable, promoted.candidate, promoted.evidence) == (2, None, {"rows": 9})


@pytest.mark.parametrize(("version", "code"), [(1, Code.FAILED_PRECONDITION), (7, Code.NOT_FOUND)])
def test_what_cannot_be_tried(store: WritableStore, version: int, code: Code) -> None:
    """The stable version itself and a version that is not published are no candidates, and nothing changes."""
    publish(store)
    before = store.promote(ServableId("m", 1), why="first")

    with pytest.raises(FairleadError) as caught:
        store.try_candidate("m", canary(version), why="try")

    assert caught.value.code is code
    assert store.release("m") == before


def test_nothing_is_tried_before_anything_is_stable(store: WritableStore) -> None:
    """A candidate needs something to be compared with."""
    publish(store)
    with pytest.raises(FairleadError, match="no stable version"):
        store.try_candidate("m", canary(1), why="try")


def test_a_trial_that_was_decided_on_an_old_release_is_refused(store: WritableStore) -> None:
    """Whoever decided on another revision than the one in force changes nothing."""
    publish(store)
    publish(store)
    store.promote(ServableId("m", 1), why="first")
    with pytest.raises(FairleadError) as caught:
        store.try_candidate("m", canary(2), why="try", expected=0)

    assert caught.value.code is Code.ABORTED


def test_a_link_laid_in_a_writers_way_is_not_followed(store: WritableStore, tmp_path: Path) -> None:
    """What it leads to stays as it is, and the writer says so."""
    publish(store)
    (tmp_path / "victim").write_text("precious")
    (store.root / "m" / ".release.json.new").symlink_to(tmp_path / "victim")

    with pytest.raises(FairleadError, match="promoting m@1 failed"):
        store.promote(ServableId("m", 1), why="")
    assert (tmp_path / "victim").read_text() == "precious"
