"""A backup that an attacker has had in hand restores nothing, and writes nothing elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.controller.live_set import NOW, LiveSet

from fairlead.controller.backup import Places, backup, find_backup
from fairlead.controller.backup_file import BACKUP_FILE, Backup, FileRecord, encode_backup
from fairlead.controller.restore import restore
from fairlead.errors import Code, FairleadError
from fairlead.store.files import digest_file

from .kinds import CANARY

MODEL = "store/digits/1/model.onnx"


def lead_to(name: str) -> Callable[[Backup], None]:
    """What makes the model's file one of that name, with a seal that is right."""

    def spoil(made: Backup) -> None:
        files = dict(made.files)
        target = made.directory / MODEL
        files[name] = FileRecord(sha256=digest_file(target), size_bytes=target.stat().st_size)
        seal(made, files)

    return spoil


def seal(made: Backup, files: Mapping[str, FileRecord]) -> None:
    """Write what the backup says of itself anew."""
    (made.directory / BACKUP_FILE).write_bytes(encode_backup(replace(made, files=files)))


def link_file(made: Backup) -> None:
    """A link in place of a file, to the same bytes."""
    path = made.directory / MODEL
    shutil.move(path, made.directory.parent / "kept")
    path.symlink_to(made.directory.parent / "kept")


def link_directory(made: Backup) -> None:
    """A link in place of a version's directory."""
    path = (made.directory / MODEL).parent
    shutil.move(path, made.directory.parent / "kept")
    path.symlink_to(made.directory.parent / "kept")


def pipe(made: Backup) -> None:
    """A pipe in place of a file: nobody waits for what comes out of it."""
    (made.directory / MODEL).unlink()
    os.mkfifo(made.directory / MODEL)


def add(made: Backup) -> None:
    """A file that the backup does not know of."""
    (made.directory / "store" / "digits" / "1" / CANARY).touch()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lead_to(f"../{CANARY}"), "leads out of the backup"),
        (lead_to(f"store/../../../{CANARY}"), "leads out of the backup"),
        (lead_to(f"/tmp/{CANARY}"), "leads out of the backup"),
        (lead_to(f"store//{CANARY}"), "leads out of the backup"),
        (lead_to(f"store/digits/2/{CANARY}"), "is missing"),
        (link_file, "is a link"),
        (link_directory, "is missing|does not belong to the backup"),
        (pipe, "is not a regular file"),
        (add, "does not belong to the backup"),
    ],
)
def test_a_hostile_backup(tmp_path: Path, spoil: Callable[[Backup], None], reason: str) -> None:
    """Is refused as damaged; the places it would have gone to are as they were."""
    live = LiveSet(root=tmp_path / "home", url=f"sqlite:///{tmp_path / 'home' / 'fairlead.db'}")
    live.root.mkdir()
    live.publish("digits")
    live.note("first")
    spoil(backup(live.places, tmp_path / "backups", at=NOW, why="a test", keep=7))
    fresh = Places(store=tmp_path / "fresh" / "store", database_url=f"sqlite:///{tmp_path}/fresh/x.db", registry=None)
    (tmp_path / "fresh").mkdir()

    with pytest.raises(FairleadError, match=reason) as caught:
        restore(find_backup(tmp_path / "backups"), fresh, at=NOW + timedelta(minutes=1))
    assert caught.value.code is Code.DATA_LOSS
    assert not fresh.store.exists()
    assert [path.name for path in (tmp_path / "fresh").iterdir() if not path.name.endswith(".lock")] == []
    assert not [path for path in tmp_path.rglob(CANARY) if not path.is_relative_to(tmp_path / "backups")]
    assert not Path("/tmp", CANARY).exists()
