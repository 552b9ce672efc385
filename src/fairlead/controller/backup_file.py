"""What a backup is made of, and `backup.json` that says so of itself: a flipped byte anywhere is found."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final

from fairlead.errors import Code, FairleadError
from fairlead.store import files

__all__ = [
    "BACKUP_FILE",
    "DUMP_FILE",
    "REGISTRY_FILE",
    "SQLITE_FILE",
    "STORE",
    "Backup",
    "FileRecord",
    "check_backup",
    "encode_backup",
    "read_backup",
]

BACKUP_FILE: Final = "backup.json"
STORE: Final = "store"
REGISTRY_FILE: Final = "registry.sqlite"
SQLITE_FILE: Final = "database.sqlite"
DUMP_FILE: Final = "database.dump"
SCHEMA_VERSION = 1
_ANOTHER = "restore another backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What a backup says of one of its files."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was finished.

    Attributes:
        directory: where it is; its name is the time in UTC.
        at: when it was begun.
        why: what it was made for.
        files: by their path in it.
        left_out: versions that were damaged already, and how.
    """

    directory: Path
    at: datetime
    why: str
    files: Mapping[str, FileRecord]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def size_bytes(self) -> int:
        """Of all files; those that earlier backups hold as well take their place once."""
        return sum(record.size_bytes for record in self.files.values())


def encode_backup(made: Backup) -> bytes:
    """The bytes of `backup.json`."""
    body = {
        "schema_version": SCHEMA_VERSION,
        "at": made.at.isoformat(),
        "why": made.why,
        "files": {path: [record.sha256, record.size_bytes] for path, record in sorted(made.files.items())},
        "left_out": dict(sorted(made.left_out.items())),
    }
    return _sealed(body)


def read_backup(directory: Path) -> Backup:
    """The backup in `directory`, by what it says of itself; its other files are not looked at.

    Raises:
        FairleadError: DATA_LOSS when `backup.json` is missing or damaged, FAILED_PRECONDITION when a newer Fairlead
            wrote it.
    """
    path = directory / BACKUP_FILE
    try:
        data = path.read_bytes()
        body = json.loads(data)
        del body["seal"]
        if _sealed(body) != data:
            raise FairleadError(Code.DATA_LOSS, f"{path} is damaged: it is not what was written", hint=_ANOTHER)
        if body["schema_version"] != SCHEMA_VERSION:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{path} has schema version {body['schema_version']!r}; this Fairlead reads {SCHEMA_VERSION}",
                hint="pip install --upgrade fairlead",
            )
        return Backup(
            directory=directory,
            at=datetime.fromisoformat(body["at"]),
            why=str(body["why"]),
            files={
                _inside(name): FileRecord(sha256=str(sha256), size_bytes=int(size))
                for name, (sha256, size) in body["files"].items()
            },
            left_out={str(name): str(reason) for name, reason in body["left_out"].items()},
        )
    except OSError as error:
        raise FairleadError(Code.DATA_LOSS, f"{path} cannot be read: {error}", hint=_ANOTHER) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FairleadError(
            Code.DATA_LOSS, f"{path} is damaged: {type(error).__name__}: {error}", hint=_ANOTHER
        ) from error


def check_backup(made: Backup) -> None:
    """Compare every byte of a backup with what it says of itself.

    Raises:
        FairleadError: DATA_LOSS naming the file that is missing, foreign or changed.
    """
    read_backup(made.directory)
    found = set(_files_in(made.directory)) - {BACKUP_FILE}
    for path in sorted(found ^ made.files.keys()):
        what = "is missing" if path in made.files else "does not belong to the backup"
        raise FairleadError(Code.DATA_LOSS, f"{made.directory / path} {what}", hint=_ANOTHER)
    with files.storage_errors(f"reading {made.directory}"):
        for path, record in made.files.items():
            if (made.directory / path).is_symlink():
                raise FairleadError(Code.DATA_LOSS, f"{made.directory / path} is a link", hint=_ANOTHER)
            actual = files.digest_file(made.directory / path)
            if actual != record.sha256:
                raise FairleadError(
                    Code.DATA_LOSS,
                    f"{made.directory / path} has the SHA-256 {actual} but {BACKUP_FILE} says {record.sha256}",
                    hint=_ANOTHER,
                )


def _sealed(body: dict[str, Any]) -> bytes:
    seal = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return json.dumps({**body, "seal": seal}, indent=1).encode() + b"\n"


def _files_in(directory: Path) -> Iterator[str]:
    """Every path under `directory` that is not a directory; links are not followed."""
    for where, directories, names in os.walk(directory):
        links = [name for name in directories if (Path(where) / name).is_symlink()]
        for name in [*names, *links]:
            yield (Path(where) / name).relative_to(directory).as_posix()


def _inside(path: str) -> str:
    """A path that stays in the backup, or ValueError."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or str(PurePosixPath(path)) != path:
        raise ValueError(f"{path!r} leads out of the backup")
    return path
