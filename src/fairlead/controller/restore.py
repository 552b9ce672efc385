"""Puts a backup in place: all of it or nothing, whenever the process is killed."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fairlead.controller.backup import Places, holding_model
from fairlead.controller.backup_file import (
    DUMP_FILE,
    REGISTRY_FILE,
    SQLITE_FILE,
    STORE,
    Backup,
    check_backup,
)
from fairlead.controller.database_copy import copy_database, is_empty_database, load_dump, sqlite_path
from fairlead.errors import Code, FairleadError
from fairlead.store import files
from fairlead.store.store import Store, names_in

__all__ = ["finish_restore", "restore"]

_SIDECARS = ("-wal", "-shm")  # a SQLite file's log belongs to it: a new file beside an old log would be damaged


@dataclass(frozen=True, slots=True, kw_only=True)
class _Move:
    """One file or directory that takes the place of another, which is set aside.

    Attributes:
        target: the place.
        prepared: what goes there; None when the backup has nothing for it.
        aside: where what is there now goes.
    """

    target: Path
    prepared: Path | None
    aside: Path


def restore(made: Backup, places: Places, *, at: datetime, force: bool = False) -> tuple[Path, ...]:
    """Make the places what the backup holds, after checking every byte of it.

    Everything is copied beside its place first; then one file beside the store says what is to be moved, and from
    there on the restoring is carried to its end: by this call, or if it is killed by the next one or by
    `finish_restore`. Before that file is there, nothing was changed. A part that `places` leaves out is left alone.
    Whoever writes to the database must have stopped; serving may go on, and follows.

    Args:
        made: the backup.
        places: where its parts go.
        at: the time, for the names of what is set aside.
        force: set aside what is there; else all places must be empty.

    Returns:
        What was set aside, by its new name.

    Raises:
        FairleadError: DATA_LOSS naming the file of the backup that is damaged, FAILED_PRECONDITION when something is
            there and `force` is not given or the databases are of different kinds, ABORTED while another restore or a
            publisher is at work, RESOURCE_EXHAUSTED on a full disk. Then nothing was changed.
    """
    finish_restore(places)
    check_backup(made)
    _check_kind(made, places)
    if not force:
        _require_empty(places)
    stamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    with files.storage_errors(f"restoring {made.directory}"), _alone(places):
        _remove_prepared(places)
        try:
            moves = _prepare(made, places, stamp)
            dump, old_dump = _prepare_dump(made, places, stamp)
            _write_intent(places, moves, dump)
        except BaseException:
            _remove_prepared(places)
            raise
        _carry_out(places, moves, dump, may_undo=True)
        there = [move.aside for move in moves] + ([old_dump] if old_dump else [])
        return tuple(path for path in there if path.exists())


def finish_restore(places: Places) -> bool:
    """Carry a restore that was killed to its end; False when there is none. Whoever opens the places asks this first.

    Raises:
        FairleadError: ABORTED while a restore is at work, UNAVAILABLE when the database does not answer.
    """
    if not _intent(places).exists():
        return False
    with files.storage_errors(f"restoring {places.store}"), _alone(places):
        if not _intent(places).exists():  # whoever was at work has finished
            return True
        body = json.loads(_intent(places).read_bytes())
        moves = [
            _Move(
                target=Path(move["target"]),
                prepared=Path(move["prepared"]) if move["prepared"] else None,
                aside=Path(move["aside"]),
            )
            for move in body["moves"]
        ]
        _carry_out(places, moves, Path(body["dump"]) if body["dump"] else None, may_undo=False)
    return True


def _check_kind(made: Backup, places: Places) -> None:
    if places.database_url is None:
        return
    other = DUMP_FILE if sqlite_path(places.database_url) else SQLITE_FILE
    if other in made.files:
        kind = "PostgreSQL" if other == DUMP_FILE else "SQLite"
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the backup {made.name} holds a {kind} database, and the one to restore is of another kind",
            hint="name a database of that kind in FAIRLEAD_DATABASE_URL",
        )


def _require_empty(places: Places) -> None:
    occupied = []
    if any(not name.startswith(".") for name in names_in(places.store)):
        occupied.append(f"the store {places.store}")
    if places.database_url is not None and not is_empty_database(places.database_url):
        occupied.append("the database")
    if places.registry is not None and places.registry.exists():
        occupied.append(f"the registry {places.registry}")
    if occupied:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"restoring would replace {' and '.join(occupied)}",
            hint="--force sets aside what is there",
        )


@contextlib.contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Keep other restores and all publishers out."""
    places.store.parent.mkdir(parents=True, exist_ok=True)
    store = Store(places.store)
    with contextlib.ExitStack() as stack:
        stack.enter_context(files.exclusive(_beside(places.store, "restore.lock")))
        for model in store.models():
            stack.enter_context(holding_model(store, model))
        yield


def _prepare(made: Backup, places: Places, stamp: str) -> list[_Move]:
    """Copy the parts beside their places. They are copies, not links: what serves shares no byte with a backup."""
    moves = [_move(places.store, stamp, is_held=True)]
    prepared = _beside(places.store, "restoring")
    prepared.mkdir()
    for path in made.files:
        if path.startswith(f"{STORE}/"):
            target = prepared / path.removeprefix(f"{STORE}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(made, path, target)
    for directory in [prepared, *(path for path in prepared.rglob("*") if path.is_dir())]:
        files.sync_directory(directory)
    for place, path in _files_of(places):
        is_held = path in made.files
        place.parent.mkdir(parents=True, exist_ok=True)
        moves.append(_move(place, stamp, is_held=is_held))
        if is_held:
            _copy(made, path, _beside(place, "restoring"))
            files.sync_directory(place.parent)
    return moves


def _files_of(places: Places) -> list[tuple[Path, str]]:
    """The SQLite files among the places, and what they are called in a backup."""
    database = sqlite_path(places.database_url) if places.database_url else None
    found = [(database, SQLITE_FILE), (places.registry, REGISTRY_FILE)]
    return [(place, path) for place, path in found if place is not None]


def _move(target: Path, stamp: str, *, is_held: bool) -> _Move:
    prepared = _beside(target, "restoring") if is_held else None
    return _Move(target=target, prepared=prepared, aside=_free(target.with_name(f"{target.name}.before-{stamp}")))


def _prepare_dump(made: Backup, places: Places, stamp: str) -> tuple[Path | None, Path | None]:
    """A PostgreSQL database's dump beside the store, and one of what is there now."""
    if places.database_url is None or sqlite_path(places.database_url):
        return None, None
    if DUMP_FILE not in made.files:
        raise FairleadError(Code.FAILED_PRECONDITION, f"the backup {made.name} holds no database")
    dump = _beside(places.store, "restoring.dump")
    _copy(made, DUMP_FILE, dump)
    if is_empty_database(places.database_url):
        return dump, None
    aside = _free(places.store.with_name(f"database.dump.before-{stamp}"))
    copy_database(places.database_url, aside)
    return dump, aside


def _copy(made: Backup, path: str, target: Path) -> None:
    actual = files.copy_file(made.directory / path, target)
    if actual != made.files[path].sha256:
        raise FairleadError(Code.DATA_LOSS, f"{made.directory / path} was changed while it was read")


def _write_intent(places: Places, moves: list[_Move], dump: Path | None) -> None:
    body: dict[str, Any] = {
        "moves": [
            {
                "target": str(move.target.absolute()),
                "prepared": str(move.prepared.absolute()) if move.prepared else None,
                "aside": str(move.aside.absolute()),
            }
            for move in moves
        ],
        "dump": str(dump.absolute()) if dump else None,
    }
    files.write_file(_intent(places), json.dumps(body, indent=1).encode() + b"\n")


def _carry_out(places: Places, moves: list[_Move], dump: Path | None, *, may_undo: bool) -> None:
    """Do what the intent says; done again after a kill, it ends the same."""
    if dump is not None and dump.exists():
        try:
            load_dump(str(places.database_url), dump, _beside(places.store, "restoring.sql"))
        except FairleadError:
            if may_undo:  # nothing was moved yet, and the database is as it was
                _intent(places).unlink()
                _remove_prepared(places)
            raise
        dump.unlink()
    for move in moves:
        _carry_out_move(move)
    _intent(places).unlink()
    files.sync_directory(places.store.parent)


def _carry_out_move(move: _Move) -> None:
    if move.prepared is not None and not move.prepared.exists():
        return  # it is in its place
    if move.target.exists():
        aside = _free(move.aside)  # somebody may have made the target anew after it was set aside
        for sidecar in _SIDECARS:
            log = move.target.with_name(move.target.name + sidecar)
            if log.exists():
                log.rename(aside.with_name(aside.name + sidecar))
        move.target.rename(aside)
    if move.prepared is not None:
        move.prepared.rename(move.target)
    files.sync_directory(move.target.parent)


def _remove_prepared(places: Places) -> None:
    """What was copied beside the places and is not wanted any more; never while an intent stands."""
    shutil.rmtree(_beside(places.store, "restoring"), ignore_errors=True)
    for place in [_beside(places.store, "restoring.dump"), *(_beside(p, "restoring") for p, _ in _files_of(places))]:
        place.unlink(missing_ok=True)


def _intent(places: Places) -> Path:
    return _beside(places.store, "restore.json")


def _beside(place: Path, what: str) -> Path:
    return place.with_name(f".{place.name}.{what}")


def _free(path: Path) -> Path:
    """`path`, or with a number after it when there is something."""
    candidates = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000)))
    return next(candidate for candidate in candidates if not candidate.exists())
