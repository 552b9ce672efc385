"""A restore makes everything what it was, or changes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from fairlead.controller.backup import Places, backup
from fairlead.controller.backup_file import Backup
from fairlead.controller.restore import finish_restore, restore
from fairlead.database.engine import open_engine
from fairlead.errors import Code, FairleadError
from fairlead.store import files

from .live_set import NOW, LiveSet

LATER = NOW + timedelta(days=1)
# Every how many steps the process is killed: 1 takes a quarter of an hour.
STRIDE = int(os.environ.get("FAIRLEAD_KILL_STRIDE", "61"))


@pytest.fixture
def live(tmp_path: Path, database_url: str) -> LiveSet:
    """A set in use with one version and one note, on either kind of database."""
    live = LiveSet(root=tmp_path / "home", url=database_url)
    live.root.mkdir()
    live.publish()
    live.note("before")
    return live


@pytest.fixture
def made(live: LiveSet, tmp_path: Path) -> Backup:
    """A backup of that, and then the set goes on: another version, another model and another note."""
    made = backup(live.places, tmp_path / "backups", at=NOW, why="")
    live.publish()
    live.publish("messages")
    live.note("after")
    return made


def everything(live: LiveSet) -> object:
    """What a restore may change."""
    return live.check_store(), live.notes()


def strays(live: LiveSet) -> list[str]:
    """What restoring left around, but for its lock."""
    names = {path.name for path in live.root.iterdir() if path.name.startswith(".")}
    return sorted(names - {".store.restore.lock"})


def test_everything_is_as_it_was_and_what_was_there_is_set_aside(live: LiveSet, made: Backup) -> None:
    """Versions, release, history, database and registry; the newer state is kept beside."""
    aside = restore(made, live.places, at=LATER, force=True)

    assert everything(live) == ({"digits": (1,)}, ({"before"}, {"before"}))
    assert live.root / "store.before-20260303T020000Z" in aside
    assert live.root / "mlflow.db.before-20260303T020000Z" in aside
    assert len(aside) == 3
    assert all(path.exists() for path in aside)
    assert strays(live) == []
    live.publish()
    live.note("and on")
    assert live.notes()[0] == {"before", "and on"}


def test_into_empty_places_nothing_is_set_aside(tmp_path: Path, made: Backup, live: LiveSet) -> None:
    """A new machine; what serves shares no byte with the backup."""
    if not live.url.startswith("sqlite"):
        pytest.skip("one server is enough for the other tests")
    fresh = LiveSet(root=tmp_path / "fresh", url=f"sqlite:///{tmp_path / 'fresh' / 'fairlead.db'}")

    assert restore(made, fresh.places, at=LATER) == ()
    assert everything(fresh) == ({"digits": (1,)}, ({"before"}, {"before"}))
    assert (fresh.root / "store/digits/1/model.onnx").stat().st_nlink == 1


def test_what_is_there_is_not_replaced_unless_told(live: LiveSet, made: Backup) -> None:
    """The error names what is there."""
    before = everything(live)

    with pytest.raises(FairleadError) as caught:
        restore(made, live.places, at=LATER)

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert str(live.places.store) in caught.value.message
    assert "the database" in caught.value.message
    assert "--force" in caught.value.hint
    assert everything(live) == before
    assert strays(live) == []


def test_parts_that_are_not_named_are_left_alone(live: LiveSet, made: Backup, tmp_path: Path) -> None:
    """The store alone, as for a drill."""
    places = Places(store=tmp_path / "scratch" / "store")

    assert restore(made, places, at=LATER) == ()
    assert LiveSet(root=tmp_path / "scratch", url=live.url).check_store() == {"digits": (1,)}
    assert live.notes() == ({"before", "after"}, {"before", "after"})


def test_what_did_not_exist_then_is_set_aside(live: LiveSet, tmp_path: Path) -> None:
    """A registry that came after the backup."""
    bare = Places(store=live.places.store, database_url=live.url, registry=tmp_path / "later.db")
    made = backup(bare, tmp_path / "backups", at=NOW, why="")
    (tmp_path / "later.db").write_bytes(b"x")

    aside = restore(made, bare, at=LATER, force=True)

    assert not (tmp_path / "later.db").exists()
    assert tmp_path / "later.db.before-20260303T020000Z" in aside


@pytest.mark.parametrize("path", ["store/digits/1/model.onnx", "store/digits/release.json", "registry.sqlite"])
def test_a_flipped_byte_changes_nothing(live: LiveSet, made: Backup, path: str) -> None:
    """DATA_LOSS naming the file."""
    before = everything(live)
    data = bytearray((made.directory / path).read_bytes())
    data[len(data) // 2] ^= 1
    (made.directory / path).write_bytes(data)

    with pytest.raises(FairleadError) as caught:
        restore(made, live.places, at=LATER, force=True)

    assert caught.value.code is Code.DATA_LOSS
    assert str(made.directory / path) in caught.value.message
    assert everything(live) == before
    assert strays(live) == []


def test_a_backup_of_another_kind_of_database_changes_nothing(live: LiveSet, made: Backup, tmp_path: Path) -> None:
    """It is told before anything is copied."""
    other = (
        "postgresql://nobody@127.0.0.1:1/none"
        if live.url.startswith("sqlite")
        else f"sqlite:///{tmp_path / 'other.db'}"
    )
    before = everything(live)

    with pytest.raises(FairleadError) as caught:
        restore(made, Places(store=live.places.store, database_url=other), at=LATER, force=True)

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert "kind" in caught.value.message
    assert everything(live) == before


def test_a_disk_that_fills_changes_nothing(live: LiveSet, made: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever of the copies fails, what was copied is removed."""
    before = everything(live)
    real = files.copy_file
    count = 0
    for fails in range(len(made.files)):

        def full(source: Path, target: Path, fails: int = fails) -> str:
            nonlocal count
            count += 1
            if count == fails + 1:
                target.write_bytes(b"half")
                raise OSError(28, "No space left on device")
            return real(source, target)

        count = 0
        monkeypatch.setattr(files, "copy_file", full)
        with pytest.raises(FairleadError) as caught:
            restore(made, live.places, at=LATER, force=True)
        monkeypatch.undo()

        assert caught.value.code is Code.RESOURCE_EXHAUSTED
        assert everything(live) == before
        assert strays(live) == []


def test_a_newer_databases_tables_do_not_stay(live: LiveSet, made: Backup) -> None:
    """A table that Fairlead knows and the backup has not is gone afterwards, and the next migration succeeds."""
    engine = open_engine(live.url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    engine.dispose()

    restore(made, live.places, at=LATER, force=True)

    live.note("migrated again")
    assert live.notes()[0] == {"before", "migrated again"}


def test_a_database_that_cannot_be_replaced_changes_nothing(live: LiveSet, made: Backup) -> None:
    """PostgreSQL: a table that somebody writes is waited for, then everything is as before."""
    if live.url.startswith("sqlite"):
        pytest.skip("files are replaced by renaming")
    before = everything(live)
    engine = open_engine(live.url)
    with engine.connect() as holding, holding.begin():
        holding.execute(text("LOCK TABLE journal IN ROW EXCLUSIVE MODE"))
        places = live.places
        with pytest.raises(FairleadError) as caught:
            restore(made, places, at=LATER, force=True)
    engine.dispose()

    assert "psql failed" in caught.value.message
    assert "lock timeout" in caught.value.message
    assert everything(live) == before
    assert strays(live) == []


def test_there_is_nothing_to_finish_where_nothing_was_begun(live: LiveSet) -> None:
    """Whoever opens the places may ask."""
    assert finish_restore(live.places) is False


SWEEP = r'''
import os, shutil, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fairlead.controller, fairlead.store
from fairlead.controller.backup import backup, backups
from fairlead.controller.backup_file import check_backup
from fairlead.controller.restore import finish_restore, restore
from tests.controller.live_set import NOW, LiveSet

root, change, stride = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ROOMS = tuple(str(Path(fairlead.controller.__file__).parent / name) for name in ("backup", "restore", "database_copy"))
ROOMS += (str(Path(fairlead.store.__file__).parent),)
live = LiveSet(root=root / "home", url=f"sqlite:///{root / 'home' / 'fairlead.db'}")
LATER = NOW + timedelta(days=1)


def change_once():
    if change == "backup":
        backup(live.places, root / "backups", at=LATER, why="", keep=1)
    else:
        restore(backups(root / "backups")[0], live.places, at=LATER, force=True)


def die_at(step):
    """Kill this process at its step-th step, or count the steps when `step` is 0."""
    count = 0

    def tick():
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_line(frame, event, arg):
        if event == "line":
            tick()
        return on_line

    def on_call(frame, event, arg):
        return on_line if frame.f_code.co_filename.startswith(ROOMS) else None

    def on_system_call(frame, event, arg):
        if event in ("c_call", "c_return") and (
            getattr(arg, "__module__", "") in ("posix", "_io")
            or type(getattr(arg, "__self__", None)).__module__ == "sqlite3"
        ):
            tick()

    sys.setprofile(on_system_call)
    sys.settrace(on_call)
    change_once()
    sys.settrace(None)
    sys.setprofile(None)
    return count


def state():
    return live.check_store(), live.notes()


live.root.mkdir(parents=True)
live.publish(size=500)
live.note("before")
old = state()
backup(live.places, root / "backups", at=NOW, why="")
live.publish(size=500)
live.note("after")
new = state()
shutil.copytree(root, root.parent / "prepared")
steps = die_at(0)
after = {"begun": 0, "done": 0}
for step in range(1, steps + 1, stride):
    shutil.rmtree(root)
    shutil.copytree(root.parent / "prepared", root)
    child = os.fork()
    if child == 0:
        die_at(step)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, step
    if change == "backup":
        # Each that looks whole is whole; the earlier one is there until the new one is.
        assert state() == new, step
        found = backups(root / "backups")
        assert found, step
        for one in found:
            check_backup(one)
        after["done" if found[0].at == LATER else "begun"] += 1
        change_once()
        assert [path.name for path in sorted((root / "backups").iterdir())][-1] == backups(root / "backups")[0].name
        assert not [p for p in (root / "backups").iterdir() if p.name.startswith((".incoming", ".deleted"))], step
        check_backup(backups(root / "backups")[0])
    else:
        was_committed = finish_restore(live.places)
        is_restored = state() == old
        assert is_restored or state() == new, (step, state())
        assert is_restored or not was_committed, step
        after["done" if is_restored else "begun"] += 1
        if not is_restored:
            restore(backups(root / "backups")[0], live.places, at=LATER, force=True)
        assert state() == old, step
        strays = [p.name for p in live.root.iterdir() if p.name.startswith(".") and not p.name.endswith(".lock")]
        assert not strays, (step, strays)
        # What was there is whole beside it.
        aside = root / "aside"
        aside.mkdir()
        for path in live.root.iterdir():
            if ".before-" in path.name:
                path.rename(aside / path.name.replace(".before-20260303T020000Z", ""))
        kept = LiveSet(root=aside, url=f"sqlite:///{aside / 'fairlead.db'}")
        assert (kept.check_store(), kept.notes()) == new, step
print(steps, after["begun"], after["done"])
'''


def sweep(script: str, scratch: Path, change: str, stride: int) -> subprocess.CompletedProcess[str]:
    """Run the sweep in a process of its own."""
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", script, str(scratch / "root"), change, str(stride)],
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
        cwd=root,
    )


@pytest.mark.parametrize("change", ["backup", "restore"])
def test_killed_at_any_step_there_is_all_or_nothing(tmp_path: Path, change: str) -> None:
    """No half backup looks whole, and a restore that was killed is finished or never was."""
    done = sweep(SWEEP, tmp_path, change, STRIDE)

    assert done.returncode == 0, done.stderr
    steps, begun, ended = map(int, done.stdout.split())
    assert steps > 500
    assert begun > 0
    assert ended > 0


_DELETES_FIRST = """
import fairlead.controller.backup as room
real = room._make
room._make = lambda places, root, *rest: (
    [shutil.rmtree(root / name) for name in room._names(root)], real(places, root, *rest)
)[1]
"""


@pytest.mark.parametrize(
    ("change", "right", "wrong"),
    [
        ("restore", "was_committed = finish_restore(live.places)", "was_committed = False"),
        (
            "backup",
            "root, change,",
            _DELETES_FIRST + "root, change,",
        ),
    ],
)
def test_the_sweep_sees_what_is_half_done(tmp_path: Path, change: str, right: str, wrong: str) -> None:
    """The negative controls: restores that nobody finishes, and backups that delete the old one first."""
    assert right in SWEEP

    done = sweep(SWEEP.replace(right, wrong, 1), tmp_path, change, 31)

    assert done.returncode != 0
    assert "AssertionError" in done.stderr or "FairleadError" in done.stderr
