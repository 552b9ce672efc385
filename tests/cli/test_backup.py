"""`fairlead backup` and `fairlead restore`: everything comes back, or nothing is changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.main import main
from fairlead.controller.journal import Action, Journal

from .logged import Logged

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """A stable version and some predictions with labels."""
    live = Logged.begin(tmp_path, monkeypatch)
    live.store.promote(live.publish().manifest.id, why="first")
    live.label(live.answer(20))
    return live


def made(capsys: Capture, *flags: str) -> Any:
    """A backup, as a program is told of it."""
    assert main(["backup", *flags, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def files(directory: Path) -> dict[str, bytes]:
    """Every file under a directory, but for locks."""
    found = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in found if not path.name.endswith("lock")}


def actions(live: Logged) -> list[tuple[str, str]]:
    """What the journal knows of all models, the oldest first: the action and to what."""
    journal = Journal(live.engine, now=live._now, who="reader")
    return [(entry.action, entry.subject) for entry in reversed(journal.read(""))]


def test_a_backup_is_listed_and_in_the_history(live: Logged, capsys: Capture) -> None:
    """By its name, with why it was made."""
    assert main(["backup", "--list"]) == 0
    assert "next: fairlead backup" in capsys.readouterr().out
    assert main(["backup", "--why", "before the move"]) == 0
    (name,) = [path.name for path in (live.root / "home" / "backups").iterdir() if path.name[0] != "."]

    assert capsys.readouterr().out.startswith(f"backup {name}: ")
    assert main(["backup", "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NAME", name]
    assert main(["backup", "--list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["backups"]
    assert (listed["name"], listed["why"], listed["left_out"]) == (name, "before the move", {})
    assert actions(live) == [(Action.BACKED_UP, name)]


def test_the_newest_backups_are_kept(live: Logged, capsys: Capture) -> None:
    """As many as were asked for, the one that was just made among them."""
    names = [made(capsys, "--keep", "2")["name"] for _ in range(3)]

    assert main(["backup", "--list", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["backups"]] == [names[2], names[1]]


def test_a_damaged_version_is_left_out_and_told(live: Logged, capsys: Capture) -> None:
    """The rest is backed up all the same."""
    directory = live.publish().directory
    (directory / "model.onnx").write_bytes(b"rot")

    assert main(["backup"]) == 0

    assert "left out digits@2, which is damaged" in capsys.readouterr().err


def test_a_backup_of_nothing_is_refused(live: Logged, capsys: Capture) -> None:
    """It would take the place of one that holds something."""
    name = made(capsys)["name"]
    shutil.rmtree(live.store.root)

    assert main(["backup", "--keep", "1"]) == 2

    assert "does not exist" in capsys.readouterr().err
    assert (live.root / "home" / "backups" / name).is_dir()


def test_a_restore_brings_everything_back_and_sets_aside_what_was_there(live: Logged, capsys: Capture) -> None:
    """Store and database are as they were, and the restored history says that they are restored."""
    name = made(capsys)["name"]
    before = files(live.store.root)
    live.publish()
    live.answer(30)
    live.engine.dispose()

    assert main(["restore", "--force"]) == 0

    out, error = capsys.readouterr()
    assert out.startswith(f"restored {name}: ")
    aside = [Path(line.removeprefix("set aside: ")) for line in out.splitlines()[1:]]
    assert len(aside) == 2
    assert all(path.exists() for path in aside)
    assert "restart what ran meanwhile" in error
    assert files(live.store.root) == before
    assert len(live.log.newest("digits")) == 20
    assert actions(live) == [(Action.RESTORED, name)]


def test_what_is_there_is_not_replaced_unasked(live: Logged, capsys: Capture) -> None:
    """The refusal names what is in the way and the flag."""
    made(capsys)
    before = files(live.store.root)

    assert main(["restore"]) == 1

    error = capsys.readouterr().err
    assert "restoring would replace the store" in error
    assert "the database" in error
    assert "--force" in error
    assert files(live.store.root) == before


@pytest.mark.parametrize("part", ["store/digits/1/model.onnx", "database.sqlite", "backup.json"])
def test_a_flipped_byte_is_found_and_nothing_is_changed(live: Logged, capsys: Capture, part: str) -> None:
    """In a model, in the database, in the list of files itself: one line with the file, and the way on."""
    name = made(capsys)["name"]
    damaged = live.root / "home" / "backups" / name / part
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    live.publish()
    before = files(live.store.root), len(live.log.newest("digits"))

    assert main(["restore", name, "--force"]) == 1

    error = capsys.readouterr().err
    assert f"{name}/{part}" in error
    assert "try: restore another backup" in error
    assert "Traceback" not in error
    assert (files(live.store.root), len(live.log.newest("digits"))) == before
    assert actions(live) == [(Action.BACKED_UP, name)]


@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        (["restore", "20200101T000000Z"], "there is no backup '20200101T000000Z'", "backups there: none"),
        (["restore"], "there is no backup in", "backups there: none"),
        (["backup", "--keep", "0"], "--keep is 0", "--keep 7"),
        (["backup", "--database-url", "nonsense"], "the database URL cannot be read", ""),
        (["restore", "--database-url", "nonsense"], "the database URL cannot be read", ""),
    ],
)
def test_misuse_is_said_with_the_value(
    live: Logged, capsys: Capture, command: list[str], message: str, hint: str
) -> None:
    """Exit status 2, and nothing is made."""
    assert main(command) == 2

    error = capsys.readouterr().err
    assert message in error
    assert hint in error
    assert "Traceback" not in error
    assert actions(live) == []


def test_on_a_new_machine_a_restore_needs_no_force(live: Logged, capsys: Capture) -> None:
    """The backups were brought there; looking at a history that is not there yet stands in no way."""
    name = made(capsys)["name"]
    new = live.root / "new"
    shutil.copytree(live.root / "home" / "backups", new / "backups")
    flags = ("--home", str(new), "--store", str(new / "store"))
    assert main(["history", "digits", *flags]) == 2
    capsys.readouterr()

    assert main(["restore", *flags]) == 0

    assert capsys.readouterr().out == f"restored {name}: 7 files, every byte as it was\n"
    assert files(new / "store") == files(live.store.root)
