"""Backups in a drill: of the live set-up into the scratch copy, and of that copy, which is damaged and put back."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead.app.control import places
from fairlead.app.drill.report import Book
from fairlead.app.drill.scene import Scene
from fairlead.app.releases import now
from fairlead.config import Settings
from fairlead.controller.backup import Places, backup
from fairlead.controller.backup_file import DUMP_FILE, REGISTRY_FILE, SQLITE_FILE, STORE, Backup
from fairlead.controller.database_copy import sqlite_path
from fairlead.controller.restore import restore
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.store import files
from fairlead.store.store import Store

__all__ = ["AFTER", "COPY", "back_up_copy", "copy_live", "damage_and_restore"]

COPY = ("live backed up", "copy restored")
AFTER = ("backed up", "damaged", "restored", "bad backup refused")

_FLIPPED_BYTES = 64
_PARTS = {SQLITE_FILE: "database", DUMP_FILE: "database (a dump)", REGISTRY_FILE: "registry"}


def copy_live(live: Settings, scene: Scene, book: Book) -> None:
    """Back the live set-up up into the scratch directory, and restore it there. The live one is read and no more.

    A PostgreSQL database is dumped and the dump checked, but not loaded, since that takes a second server: the scratch
    copy then begins with an empty SQLite database.

    Raises:
        FairleadError: as `backup` and `restore`.
    """
    with book.step(COPY[0]) as line:
        with _logs_left_alone(places(live)):
            made = backup(places(live), scene.backups, at=now(), why="a drill: the live set-up")
        line.held = not made.left_out
        line.what = f"the live {_told(made)}"
        line.figures = _figures(made)
    with book.step(COPY[1]) as line:
        is_dump = DUMP_FILE in made.files
        target = replace(scene.places, database_url=None) if is_dump else scene.places
        restore(made, target, at=now())
        _check_digests(made, target)
        line.what = f"in {scene.root}, every digest as in the backup"
        line.what += "; the dump of PostgreSQL is whole and was not loaded" if is_dump else ""


def back_up_copy(scene: Scene, book: Book) -> Backup:
    """Back the scratch copy up while it serves."""
    with book.step(AFTER[0]) as line:
        made = backup(scene.places, scene.backups, at=now(), why="a drill: before the damage")
        line.held = not made.left_out
        line.what = f"under traffic, the copy's {_told(made)}"
        line.figures = _figures(made)
    return made


def damage_and_restore(scene: Scene, made: Backup, good: ServableId, book: Book) -> None:
    """Damage what is in the scratch copy, which nobody uses now, and put the backup back.

    Raises:
        FairleadError: INTERNAL when damage was not noticed, or something is not as in the backup; as `restore`.
    """
    store, database = Store(scene.settings.store_path), sqlite_path(str(scene.places.database_url))
    with book.step(AFTER[1]) as line:
        (store.base(good.model) / str(good.version) / MODEL_FILE).unlink()
        _flip(Path(str(database)), _FLIPPED_BYTES)
        noticed = [
            _data_loss(lambda: store.open(good)),
            _data_loss(lambda: backup(scene.places, scene.backups, at=now(), why="")),
        ]
        line.what = f"{MODEL_FILE} of {good} deleted, {_FLIPPED_BYTES} bytes of the database flipped: both are noticed"
        line.figures = {"noticed": noticed}
    with book.step(AFTER[2]) as line:
        began_s = time.monotonic()
        aside = restore(made, scene.places, at=now(), force=True)
        line.seconds = time.monotonic() - began_s
        _check_digests(made, scene.places)
        line.what = f"{len(made.files)} files, every digest as in the backup; what was damaged is set aside"
        line.figures = {"files": len(made.files), "aside": [path.name for path in aside]}
    with book.step(AFTER[3]) as line:
        path = f"{STORE}/{good.model}/{good.version}/{MODEL_FILE}"
        with _flipped(made.directory / path, 1):
            refusal = _data_loss(lambda: restore(made, scene.places, at=now(), force=True))
        _check_digests(made, scene.places)
        line.what = f"with a byte of its {path} flipped, restoring it is refused and changes nothing"
        line.figures = {"refusal": refusal}


@contextmanager
def _logs_left_alone(live: Places) -> Iterator[None]:
    """Keep what a killed process left in a SQLite log where it is.

    The last to close a database moves its log into it. Whoever cannot write, and stays longest, keeps that from
    happening.
    """
    with ExitStack() as stack:
        for path in (sqlite_path(live.database_url) if live.database_url else None, live.registry):
            log = path.with_name(f"{path.name}-wal") if path else None
            if path and log and log.exists() and log.stat().st_size:
                reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
                stack.callback(reader.close)
                with suppress(sqlite3.Error):  # the backup says what is wrong with it
                    reader.execute("SELECT 1 FROM sqlite_master").fetchall()
        yield


def _check_digests(made: Backup, target: Places) -> None:
    """Raise unless every file of the backup is in its place with the digest that the backup has for it."""
    for path, record in made.files.items():
        place = _place(path, target)
        if place is not None and files.digest_file(place) != record.sha256:
            raise FairleadError(Code.INTERNAL, f"{place} is not what the backup {made.name} holds")


def _place(path: str, target: Places) -> Path | None:
    """Where a file of a backup goes; None for a part that is not restored."""
    if path.startswith(f"{STORE}/"):
        return target.store / path.removeprefix(f"{STORE}/")
    if path == REGISTRY_FILE:
        return target.registry
    return sqlite_path(target.database_url) if target.database_url else None


def _data_loss(act: Callable[[], object]) -> str:
    """What is said of the damage that `act` comes upon.

    Raises:
        FairleadError: INTERNAL when nothing is said.
    """
    try:
        act()
    except FairleadError as error:
        if error.code is Code.DATA_LOSS:
            return error.message
        raise
    raise FairleadError(Code.INTERNAL, "damage was done, and nobody noticed")


def _flip(path: Path, count: int) -> None:
    """Turn every bit of the first `count` bytes around; done again, they are as before."""
    with path.open("r+b") as file:
        data = file.read(count)
        file.seek(0)
        file.write(bytes(byte ^ 0xFF for byte in data))


@contextmanager
def _flipped(path: Path, count: int) -> Iterator[None]:
    _flip(path, count)
    try:
        yield
    finally:
        _flip(path, count)


def _told(made: Backup) -> str:
    """What a backup holds."""
    parts = ["store", *(part for path, part in _PARTS.items() if path in made.files)]
    left_out = "".join(f"; {id_} is damaged and left out: {why}" for id_, why in made.left_out.items())
    return f"{', '.join(parts)}: {len(made.files)} files, {made.size_bytes / 1e6:,.1f} MB{left_out}"


def _figures(made: Backup) -> dict[str, Any]:
    return {"files": len(made.files), "bytes": made.size_bytes, "left_out": dict(made.left_out)}
