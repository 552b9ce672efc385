"""A backup is whole, consistent while everything is in use, and says what it holds."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from fairlead.controller.backup import Places, backup, backups, find_backup, holding_model
from fairlead.controller.backup_file import BACKUP_FILE, Backup, check_backup, encode_backup
from fairlead.controller.database_copy import copy_database
from fairlead.database.engine import open_engine
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.signing import SIGNATURE_FILE

from .live_set import NOW, LiveSet


@pytest.fixture
def live(tmp_path: Path) -> LiveSet:
    """Two models with two versions each, a database and a registry, on SQLite."""
    live = LiveSet(root=tmp_path / "home", url=f"sqlite:///{tmp_path / 'home' / 'fairlead.db'}")
    live.root.mkdir()
    for model in ("digits", "messages"):
        live.publish(model)
        live.publish(model)
    live.note("first")
    return live


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where backups go."""
    return tmp_path / "backups"


def make(live: LiveSet, root: Path, *, minutes: int = 0, keep: int = 7) -> Backup:
    """A backup, so many minutes later."""
    return backup(live.places, root, at=NOW + timedelta(minutes=minutes), why="a test", keep=keep)


def error_of(made: Backup) -> FairleadError:
    """The error that checking gives."""
    with pytest.raises(FairleadError) as caught:
        check_backup(made)
    return caught.value


def test_a_backup_holds_everything_with_its_digests(live: LiveSet, root: Path) -> None:
    """Each model's versions, release and history, the database and the registry; named by the time in UTC."""
    made = make(live, root)

    check_backup(made)
    assert made.name == "20260302T020000Z"
    assert (made.at, made.why, made.left_out) == (NOW, "a test", {})
    assert {path for path in made.files if "/" not in path} == {"database.sqlite", "registry.sqlite"}
    assert {path for path in made.files if path.startswith("store/digits/")} == {
        "store/digits/release.json",
        *(f"store/digits/history/00000{n}.json" for n in (1, 2)),
        *(f"store/digits/{v}/{name}" for v in (1, 2) for name in ("manifest.json", "model.onnx", "golden.npz")),
    }
    assert len(made.files) == 2 + 2 * 9
    assert made.size_bytes == sum((made.directory / path).stat().st_size for path in made.files)
    assert backups(root) == (made,)
    assert find_backup(root) == made
    assert [path.name for path in root.iterdir() if path.name != ".lock"] == [made.name]


def test_a_backup_keeps_signatures(live: LiveSet, root: Path) -> None:
    """Or nothing of it could be served where signatures are asked for."""
    (live.places.store / "digits" / "2" / SIGNATURE_FILE).write_text("{}")
    made = make(live, root)

    assert [path for path in made.files if path.endswith(SIGNATURE_FILE)] == [f"store/digits/2/{SIGNATURE_FILE}"]
    check_backup(made)


def test_the_copies_of_the_databases_are_single_files_and_whole(live: LiveSet, root: Path) -> None:
    """What is still in their logs is in the copies."""
    engine = open_engine(live.url)
    with engine.connect() as holding_the_log_open:
        live.note("in the log", engine)
        made = make(live, root)
        assert (live.root / "fairlead.db-wal").stat().st_size > 0
        holding_the_log_open.rollback()
    engine.dispose()

    with closing(sqlite3.connect(f"file:{made.directory / 'database.sqlite'}?immutable=1", uri=True)) as copy:
        assert copy.execute("SELECT why FROM journal ORDER BY seq").fetchall() == [("first",), ("in the log",)]
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert not list(made.directory.glob("*-wal"))


def test_backups_share_what_never_changes_among_themselves_and_nothing_with_the_store(
    live: LiveSet, root: Path
) -> None:
    """A second backup takes the place of what is new, and a byte flipped in the store is whole in both."""
    first = make(live, root)
    live.publish("digits")
    second = make(live, root, minutes=1)
    path = "store/digits/1/model.onnx"
    served = live.root / path

    assert (first.directory / path).stat().st_ino == (second.directory / path).stat().st_ino
    assert served.stat().st_nlink == 1
    assert (second.directory / "store/digits/3/model.onnx").stat().st_nlink == 1
    for changing in ("store/digits/release.json", "database.sqlite"):
        assert (first.directory / changing).stat().st_nlink == 1
    with served.open("r+b") as writer:
        writer.write(b"flipped")
    check_backup(first)
    check_backup(make(live, root, minutes=2))


def test_deleting_an_old_backup_leaves_what_others_share(live: LiveSet, root: Path) -> None:
    """The last N are kept and whole."""
    made = [make(live, root, minutes=minutes, keep=3) for minutes in range(5)]

    assert backups(root) == tuple(reversed(made[2:]))
    for kept in made[2:]:
        check_backup(kept)
    assert not [path for path in root.iterdir() if path.name.startswith((".incoming", ".deleted"))]


def test_two_in_one_second_have_two_names(live: LiveSet, root: Path) -> None:
    """And the later one is the newer, also past nine."""
    names = [make(live, root, keep=20).name for _ in range(11)]

    assert names == ["20260302T020000Z", *(f"20260302T020000Z-{n}" for n in range(2, 12))]
    assert find_backup(root).name == "20260302T020000Z-11"


def test_a_clock_that_was_ahead_does_not_cost_the_backup_just_made(live: LiveSet, root: Path) -> None:
    """It is kept, though others are named later."""
    make(live, root, minutes=10_000)
    made = make(live, root, keep=1)

    assert backups(root) == (made,)


def test_a_backup_is_consistent_while_everything_is_written(live: LiveSet, root: Path) -> None:
    """Versions appear, releases follow and rows are added meanwhile: each copy is one moment of each."""
    done = threading.Event()
    failures: list[BaseException] = []

    def use() -> None:
        number = 0
        try:
            engine = open_engine(live.url)
            while not done.is_set():
                number += 1
                live.publish("digits", size=500_000)
                live.note(f"note {number}", engine)
            engine.dispose()
        except BaseException as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    user = threading.Thread(target=use)
    user.start()
    try:
        made = [make(live, root, minutes=minutes) for minutes in range(6)]
    finally:
        done.set()
        user.join()

    assert failures == []
    for one in made:
        check_backup(one)
        assert one.left_out == {}
        copied = LiveSet(root=one.directory, url=f"sqlite:///{one.directory / 'database.sqlite'}")
        assert set(copied.check_store()) == {"digits", "messages"}
    assert len(made[-1].files) > len(made[0].files)


def test_a_version_that_is_damaged_already_is_left_out_and_named(live: LiveSet, root: Path) -> None:
    """The rest is backed up; a version that an earlier backup holds whole is taken from there."""
    held = make(live, root)
    for version in (1, 3):
        if version == 3:
            live.publish("digits")
        (live.root / f"store/digits/{version}/model.onnx").write_bytes(b"damaged")

    made = make(live, root, minutes=1)

    check_backup(made)
    assert list(made.left_out) == ["digits@3"]
    assert "model.onnx has the SHA-256" in made.left_out["digits@3"]
    assert not [path for path in made.files if path.startswith("store/digits/3")]
    assert made.files["store/digits/1/model.onnx"] == held.files["store/digits/1/model.onnx"]


def test_writers_of_the_store_are_kept_out_by_the_same_lock(live: LiveSet) -> None:
    """A promotion waits until whoever holds the model has let go."""
    order: list[str] = []

    def promote() -> None:
        live.store.promote(ServableId("digits", 1), why="")
        order.append("promoted")

    promoting = threading.Thread(target=promote)
    with holding_model(live.store, "digits"):
        promoting.start()
        promoting.join(0.3)
        order.append("let go")
    promoting.join()

    assert order == ["let go", "promoted"]


def test_a_flipped_byte_in_any_file_is_found_and_the_file_named(live: LiveSet, root: Path) -> None:
    """In the versions, the databases, and in what the backup says of itself."""
    made = make(live, root)
    chance = random.Random(1)
    for path in [*made.files, BACKUP_FILE, BACKUP_FILE, BACKUP_FILE, BACKUP_FILE]:
        whole = (made.directory / path).read_bytes()
        place = chance.randrange(len(whole))
        (made.directory / path).write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1 :]
        )

        error = error_of(made)

        assert error.code is Code.DATA_LOSS, (path, place)
        assert str(made.directory / path) in error.message
        (made.directory / path).write_bytes(whole)
    check_backup(made)


@pytest.mark.parametrize("change", ["missing", "foreign", "link"])
def test_a_missing_or_foreign_file_is_named(live: LiveSet, root: Path, change: str) -> None:
    """Neither less nor more than what was written, and no links to elsewhere."""
    made = make(live, root)
    path = made.directory / "store/digits/1/model.onnx"
    if change == "foreign":
        path = path.with_name("extra")
        path.write_text("x")
    else:
        kept = path.rename(path.parents[4] / "kept")
        if change == "link":
            path.symlink_to(kept)

    error = error_of(made)

    assert error.code is Code.DATA_LOSS
    assert str(path) in error.message


def test_a_path_that_leads_out_of_the_backup_is_refused(live: LiveSet, root: Path) -> None:
    """Though its seal is right, whoever wrote it."""
    made = make(live, root)
    for path in ("../outside", "/etc/passwd", "store/../../x", ""):
        forged = replace(made, files={path: next(iter(made.files.values()))})
        (made.directory / BACKUP_FILE).write_bytes(encode_backup(forged))

        assert error_of(made).code is Code.DATA_LOSS


def test_a_backup_of_nothing_holds_nothing(tmp_path: Path, root: Path) -> None:
    """Before the first training there is no store, no database and no registry."""
    places = Places(
        store=tmp_path / "none", database_url=f"sqlite:///{tmp_path / 'none.db'}", registry=tmp_path / "none.ml"
    )

    made = backup(places, root, at=NOW, why="")

    check_backup(made)
    assert made.files == {}
    assert not (tmp_path / "none.db").exists()


def test_what_cannot_be_asked_is_refused(live: LiveSet, root: Path) -> None:
    """No backup to keep, or one in the store itself."""
    for places, into, keep in ((live.places, root, 0), (live.places, live.root / "store" / "backups", 1)):
        with pytest.raises(FairleadError) as caught:
            backup(places, into, at=NOW, why="", keep=keep)
        assert caught.value.code is Code.INVALID_ARGUMENT
    assert not root.exists()


def test_a_backup_that_is_not_there_is_told_with_those_that_are(live: LiveSet, root: Path) -> None:
    """NOT_FOUND with their names."""
    with pytest.raises(FairleadError, match="there is no backup in"):
        find_backup(root)
    made = make(live, root)

    with pytest.raises(FairleadError) as caught:
        find_backup(root, "../20260302T020000Z")

    assert caught.value.code is Code.NOT_FOUND
    assert made.name in caught.value.hint


def test_a_damaged_database_is_no_backup(live: LiveSet, root: Path) -> None:
    """DATA_LOSS naming it, and nothing is left in the way."""
    path = live.root / "mlflow.db"
    path.write_bytes(b"SQLite format 3\0" + os.urandom(8192))

    with pytest.raises(FairleadError) as caught:
        make(live, root)

    assert caught.value.code is Code.DATA_LOSS
    assert str(path) in caught.value.message
    assert [name.name for name in root.iterdir()] == [".lock"]


def test_postgresql_without_its_tools_says_which(
    live: LiveSet, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """FAILED_PRECONDITION with the command that installs them, and the password nowhere."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(FairleadError) as caught:
        copy_database("postgresql+psycopg://user:a-password@127.0.0.1:1/x", root)

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert "needs pg_dump" in caught.value.message
    assert "a-password" not in str(caught.value)


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="PostgreSQL's tools are not installed")
def test_a_postgresql_server_that_is_gone_is_unavailable(root: Path) -> None:
    """And the password is not in the error."""
    with pytest.raises(FairleadError) as caught:
        copy_database("postgresql+psycopg://user:a-password@127.0.0.1:1/x", root)

    assert caught.value.code is Code.UNAVAILABLE
    assert "a-password" not in str(caught.value)


def test_names_are_in_utc(live: LiveSet, root: Path) -> None:
    """Whatever the zone of the clock."""
    made = backup(live.places, root, at=datetime.fromisoformat("2026-03-02T04:30:00+02:00"), why="")

    assert made.name == "20260302T023000Z"
