"""Who may sign in to the console: names and password hashes in a file of the home that only its owner reads."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.store.files import exclusive, storage_errors

__all__ = ["FIRST_PASSWORD", "Users"]

FIRST_PASSWORD = "first-password"  # noqa: S105 - the name of a file
_USERS = "users.json"
_SCHEMA_VERSION = 1
_NAME_CHARACTERS = 64
_LEAST_CHARACTERS, _MOST_CHARACTERS = 10, 1000
_COST = {"n": 2**15, "r": 8, "p": 1}
_MEMORY_BYTES = 64 * 2**20


class Users:
    """The users in `directory`, read anew each time: another process may change a password.

    Args:
        directory: made when the first user is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def begin(self, name: str) -> None:
        """Make the first user, with a password that nobody chose, unless there is one.

        Raises:
            FairleadError: FAILED_PRECONDITION when the directory cannot be written.
        """
        with storage_errors(f"making {self.directory}"):
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with exclusive(self.directory / ".lock"):
                if self._read():
                    return
                password = secrets.token_urlsafe(18)
                _write(self.directory / FIRST_PASSWORD, f"{password}\n".encode())
                self._save({name: _hashed(password)})

    def set_password(self, name: str, password: str) -> None:
        """Give the user, who is made if need be, this password. Whoever was signed in as them is signed in no more.

        Raises:
            FairleadError: INVALID_ARGUMENT for a name or password that cannot be, FAILED_PRECONDITION when the
                directory cannot be written.
        """
        _check(name, password)
        with storage_errors(f"changing {self.directory}"):
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with exclusive(self.directory / ".lock"):
                self._save({**self._read(), name: _hashed(password)})
                (self.directory / FIRST_PASSWORD).unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Let the user sign in no more.

        Raises:
            FairleadError: NOT_FOUND when there is none of that name.
        """
        with storage_errors(f"changing {self.directory}"):
            if name not in self._read():
                known = ", ".join(self.names()) or "nobody"
                raise FairleadError(
                    Code.NOT_FOUND, f"{name!r:.80} is no user of the console", hint=f"there is: {known}"
                )
            with exclusive(self.directory / ".lock"):
                self._save({other: kept for other, kept in self._read().items() if other != name})

    def names(self) -> tuple[str, ...]:
        """All of them, sorted."""
        return tuple(sorted(self._read()))

    def check(self, name: str, password: str) -> bool:
        """Whether it is the user's password; for a name that is none it takes as long to say no."""
        known = self._read().get(name)
        given = _hashed(password[:_MOST_CHARACTERS], known or _NOBODY)
        return hmac.compare_digest(given["hash"], (known or _NOBODY)["hash"]) and known is not None

    def seal(self, name: str) -> str | None:
        """Changes with the user's password; None when there is no such user."""
        known = self._read().get(name)
        return None if known is None else str(known["hash"])

    def _read(self) -> dict[str, Any]:
        path = self.directory / _USERS
        try:
            body = json.loads(path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise FairleadError(
                Code.DATA_LOSS,
                f"{path} cannot be read: {error}",
                hint=f"rm {path}, then fairlead console password NAME",
            ) from error
        return dict(body["users"])

    def _save(self, users: Mapping[str, Any]) -> None:
        body = {"schema_version": _SCHEMA_VERSION, "users": dict(sorted(users.items()))}
        _write(self.directory / _USERS, json.dumps(body, indent=2).encode() + b"\n")


def _check(name: str, password: str) -> None:
    if not name.isprintable() or not 0 < len(name) <= _NAME_CHARACTERS or name != name.strip():
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{name!r:.80} is no user's name", hint=f"use 1 to {_NAME_CHARACTERS} characters"
        )
    if not _LEAST_CHARACTERS <= len(password) <= _MOST_CHARACTERS:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"a password of {len(password)} characters is not from {_LEAST_CHARACTERS} to {_MOST_CHARACTERS} long",
            hint="choose one that nothing else has; four random words do",
        )


def _hashed(password: str, like: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The password's hash, with a new salt or by the salt and the cost of another."""
    salt = bytes.fromhex(like["salt"]) if like else secrets.token_bytes(16)
    cost = {name: int(like[name]) for name in _COST} if like else _COST
    digest = hashlib.scrypt(password.encode(), salt=salt, maxmem=_MEMORY_BYTES, dklen=32, **cost)
    return {"hash": digest.hex(), "salt": salt.hex(), **cost}


_NOBODY = {"hash": "00" * 32, "salt": "00" * 16, **_COST}


def _write(path: Path, data: bytes) -> None:
    """Replace the file in one step; nobody but its owner can ever read it."""
    beside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as writer:  # noqa: PTH123 - a descriptor has no path
        writer.write(data)
        writer.flush()
        os.fsync(writer.fileno())
    beside.replace(path)
