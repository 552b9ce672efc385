"""Backups of the store, the registry and the database: whole ones, each file with its digest."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from fairlead.controller.backup_file import (
    BACKUP_FILE,
    DUMP_FILE,
    REGISTRY_FILE,
    SQLITE_FILE,
    STORE,
    Backup,
    FileRecord,
    encode_backup,
    read_backup,
)
from fairlead.controller.database_copy import copy_database, copy_sqlite, is_empty_database, sqlite_path
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store import files
from fairlead.store.signing import SIGNATURE_FILE
from fairlead.store.store import HISTORY, MANIFEST_FILE, RELEASE_FILE, Store, names_in

__all__ = ["Places", "backup", "backups", "find_backup", "holding_model"]

_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
_INCOMING = ".incoming-"
_DELETED = ".deleted-"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where what is backed up lives. A part that is None is left out.

    Attributes:
        store: the model store's directory.
        database_url: the database, SQLite or PostgreSQL.
        registry: the embedded registry's SQLite file.
    """

    store: Path
    database_url: str | None = None
    registry: Path | None = None


def backup(places: Places, root: Path, *, at: datetime, why: str, keep: int = 7) -> Backup:
    """Make a backup in a new directory under `root`, which appears whole, by one rename; keep the last `keep`.

    Everything may be in use meanwhile. The databases are copied first: what they tell of is then in the store's copy.
    A version's files are copied from the store once; the backups after that hold the same files by hard links among
    themselves. Never with the store: a byte that is flipped there is whole here. Nothing writes to a file of a backup
    once it is there, so that what they share stays as it is.

    Args:
        places: what to copy; what does not exist is not copied.
        root: holds the backups.
        at: the time, for the name.
        why: what it is made for.
        keep: how many to keep, this one included; older ones are deleted.

    Raises:
        FairleadError: INVALID_ARGUMENT for `keep` below 1 or a `root` inside the store, RESOURCE_EXHAUSTED on a full
            disk, DATA_LOSS for a damaged database, ABORTED while another backup is made, and as `copy_database`.
    """
    if keep < 1:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{keep} backups cannot be kept: at least 1")
    if root.resolve().is_relative_to(places.store.resolve()):
        raise FairleadError(Code.INVALID_ARGUMENT, f"backups cannot be kept in the store itself: {root}")
    with files.storage_errors(f"making a backup in {root}"):
        root.mkdir(parents=True, exist_ok=True)
        with files.exclusive(root / _LOCK):
            _clear(root)
            made = _make(places, root, at, why)
            _delete_old(root, made, keep)
    return made


def backups(root: Path) -> tuple[Backup, ...]:
    """The finished backups under `root`, newest first; those whose `backup.json` is damaged are not among them."""
    found = []
    for name in reversed(_names(root)):
        with contextlib.suppress(FairleadError):
            found.append(read_backup(root / name))
    return tuple(found)


def find_backup(root: Path, name: str | None = None) -> Backup:
    """The backup of that name, or the newest.

    Raises:
        FairleadError: NOT_FOUND naming those that are there, or DATA_LOSS when its `backup.json` is damaged.
    """
    names = _names(root)
    wanted = name if name is not None else (names[-1] if names else None)
    if wanted is None or wanted not in names:
        there = ", ".join(reversed(names)) or "none"
        what = "no backup" if name is None else f"no backup {name!r}"
        raise FairleadError(Code.NOT_FOUND, f"there is {what} in {root}", hint=f"backups there: {there}")
    return read_backup(root / wanted)


@contextlib.contextmanager
def holding_model(store: Store, model: str) -> Iterator[Path]:
    """The model's directory, with its writers kept out."""
    base = store.base(model)
    with files.exclusive(base / _LOCK):  # the same file that WritableStore holds while it writes
        yield base


class _Draft:
    """A backup in the making: what is in it so far."""

    def __init__(self, directory: Path, previous: Backup | None) -> None:
        self.directory = directory
        self.files: dict[str, FileRecord] = {}
        self.left_out: dict[str, str] = {}
        self._previous = previous

    def place(self, path: str) -> Path:
        """Where the file `path` goes; its directory is made."""
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def record(self, path: str, sha256: str) -> None:
        self.files[path] = FileRecord(sha256=sha256, size_bytes=(self.directory / path).stat().st_size)

    def write(self, path: str, data: bytes) -> None:
        """A small file, by its bytes."""
        with self.place(path).open("xb") as writer:
            writer.write(data)
            writer.flush()
            os.fsync(writer.fileno())
        self.record(path, hashlib.sha256(data).hexdigest())

    def copy(self, path: str, source: Path, sha256: str) -> None:
        """A file that never changes, whose digest is known: shared with the backup before, or copied."""
        target = self.place(path)
        if not self._link(path, target, sha256):
            actual = files.copy_file(source, target)
            if actual != sha256:
                raise FairleadError(Code.DATA_LOSS, f"{source} has the SHA-256 {actual} but its manifest says {sha256}")
        self.record(path, sha256)

    def take_back(self, path: str) -> None:
        """Remove what is under `path`."""
        shutil.rmtree(self.directory / path, ignore_errors=True)
        for name in [name for name in self.files if PurePosixPath(name).is_relative_to(path)]:
            del self.files[name]

    def _link(self, path: str, target: Path, sha256: str) -> bool:
        record = self._previous.files.get(path) if self._previous else None
        if self._previous is None or record is None or record.sha256 != sha256:
            return False
        held = self._previous.directory / path
        try:
            if held.is_symlink() or held.stat().st_size != record.size_bytes:
                return False
            target.hardlink_to(held)
        except OSError as error:
            if error.errno in (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.ENOENT, errno.EOPNOTSUPP):
                return False
            raise
        return True


def _make(places: Places, root: Path, at: datetime, why: str) -> Backup:
    at = at.astimezone(UTC).replace(microsecond=0)
    earlier = backups(root)
    name = _free_name(root, f"{at:%Y%m%dT%H%M%SZ}")
    draft = _Draft(root / f"{_INCOMING}{name}", earlier[0] if earlier else None)
    draft.directory.mkdir()
    try:
        _copy_databases(places, draft)
        _copy_store(Store(places.store), draft)
        made = Backup(directory=root / name, at=at, why=why, files=draft.files, left_out=draft.left_out)
        _finish(draft, made)
    except BaseException:
        shutil.rmtree(draft.directory, ignore_errors=True)  # the disk may be full
        raise
    files.sync_directory(root)
    return made


def _finish(draft: _Draft, made: Backup) -> None:
    """Make it durable, then let it appear."""
    with (draft.directory / BACKUP_FILE).open("xb") as writer:
        writer.write(encode_backup(made))
        writer.flush()
        os.fsync(writer.fileno())
    for directory, _, _ in os.walk(draft.directory):
        files.sync_directory(Path(directory))
    draft.directory.rename(made.directory)


def _copy_databases(places: Places, draft: _Draft) -> None:
    if places.database_url is not None and not is_empty_database(places.database_url):
        path = SQLITE_FILE if sqlite_path(places.database_url) else DUMP_FILE
        copy_database(places.database_url, draft.place(path))
        _record_copy(draft, path)
    if places.registry is not None and places.registry.exists():
        copy_sqlite(places.registry, draft.place(REGISTRY_FILE))
        _record_copy(draft, REGISTRY_FILE)


def _record_copy(draft: _Draft, path: str) -> None:
    with (draft.directory / path).open("rb") as reader:
        os.fsync(reader.fileno())
    draft.record(path, files.digest_file(draft.directory / path))


def _copy_store(store: Store, draft: _Draft) -> None:
    for model in store.models():
        # What changes is read at one moment, small as it is; versions never change, and may take their time.
        with holding_model(store, model) as base:
            changing = {RELEASE_FILE: base / RELEASE_FILE}
            changing |= {f"{HISTORY}/{name}": base / HISTORY / name for name in names_in(base / HISTORY)}
            for path, source in changing.items():
                if source.is_file() and not source.name.startswith("."):
                    draft.write(f"{STORE}/{model}/{path}", source.read_bytes())
            versions = store.versions(model)
        for version in versions:
            _copy_version(store, ServableId(model, version), draft)


def _copy_version(store: Store, id_: ServableId, draft: _Draft) -> None:
    path = f"{STORE}/{id_.model}/{id_.version}"
    directory = store.base(id_.model) / str(id_.version)
    try:
        manifest = store.manifest(id_)
        for name, sha256 in manifest.files.items():
            draft.copy(f"{path}/{name}", directory / name, sha256)
        draft.write(f"{path}/{MANIFEST_FILE}", (directory / MANIFEST_FILE).read_bytes())
        if (directory / SIGNATURE_FILE).is_file():
            draft.write(f"{path}/{SIGNATURE_FILE}", files.read_file(directory / SIGNATURE_FILE))
    except (FairleadError, FileNotFoundError) as error:
        draft.take_back(path)
        if directory.exists():  # else retention has deleted it just now
            draft.left_out[str(id_)] = error.message if isinstance(error, FairleadError) else str(error)


def _delete_old(root: Path, made: Backup, keep: int) -> None:
    """Delete all but the newest; never the one just made, though a clock that was ahead gave others later names."""
    others = [name for name in _names(root) if name != made.name]
    for name in others[: max(0, len(others) - (keep - 1))]:
        (root / name).rename(root / f"{_DELETED}{name}")
    _clear(root)


def _clear(root: Path) -> None:
    """Remove what a killed process left half made or half deleted."""
    for name in names_in(root):
        if name.startswith((_INCOMING, _DELETED)):
            shutil.rmtree(root / name)


def _names(root: Path) -> list[str]:
    found = [name for name in names_in(root) if _NAME.fullmatch(name)]
    return sorted(found, key=lambda name: (name[:16], int(name[17:] or 1)))


def _free_name(root: Path, stem: str) -> str:
    taken = set(_names(root))
    return next(name for name in (stem, *(f"{stem}-{n}" for n in range(2, 10_000))) if name not in taken)
