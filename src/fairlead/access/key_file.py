"""The API keys of a home: a file that only its owner reads, changed in one step."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from fairlead.access.key import Key, mint
from fairlead.access.scope import Scope
from fairlead.errors import Code, FairleadError
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate
from fairlead.store.files import exclusive, storage_errors, sync_directory

__all__ = ["KeyFile"]

_SCHEMA_VERSION = 1
_OTHERS = 0o077
_UNSEEN = (0,)
_NAME_CHARACTERS = 64


class KeyFile:
    """The keys at `path`, read anew each time.

    Args:
        path: the file; its directory is made when the first key is.
        now: the second since 1970.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now

    def stamp(self) -> tuple[int, ...] | None:
        """Changes when the file does; None while there is none. One that cannot be seen, or leads nowhere, is there."""
        try:
            seen = self.path.stat()
        except FileNotFoundError:
            return _UNSEEN if self.path.is_symlink() else None
        except OSError:
            return _UNSEEN
        return seen.st_mtime_ns, seen.st_size, seen.st_ino, seen.st_mode

    def read(self) -> dict[str, Key]:
        """All keys by their ids; none where there is no file.

        Raises:
            FairleadError: FAILED_PRECONDITION when others may read it, DATA_LOSS when it is no file of keys.
        """
        try:
            with self.path.open("rb") as reader:
                self._check_mode(stat.S_IMODE(os.fstat(reader.fileno()).st_mode))
                kept = json.loads(reader.read())
            return {id_: Key.from_json(id_, key) for id_, key in kept["keys"].items()}
        except FileNotFoundError:
            return {}
        except FairleadError:
            raise
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise FairleadError(
                Code.DATA_LOSS,
                f"{self.path} is no file of keys: {type(error).__name__}: {error}",
                hint="put its backup back, or move it away and create the keys again",
            ) from error

    def create(
        self,
        name: str,
        scopes: frozenset[Scope],
        *,
        lives_s: float | None,
        rate: Rate | None = None,
        quota: Quota | None = None,
    ) -> tuple[Key, str]:
        """A new key that lives so many seconds, None for ever, and its text, which nothing can tell again.

        Raises:
            FairleadError: INVALID_ARGUMENT for a name that cannot be, and as `read`.
        """
        _check_name(name)
        now = self._now()
        key, text = mint(name, scopes, now, None if lives_s is None else now + lives_s, rate=rate, quota=quota)
        self._change(lambda keys: {**keys, key.id: key})
        return key, text

    def revoke(self, id_: str) -> Key:
        """Make the key good for nothing.

        Raises:
            FairleadError: NOT_FOUND when there is none of that id, and as `read`.
        """
        changed = self._change(lambda keys: {**keys, id_: replace(self._known(keys, id_), is_revoked=True)})
        return changed[id_]

    def rotate(self, id_: str, *, grace_s: float) -> tuple[Key, str]:
        """A key in place of another that is good, with its name, scopes, life and limits; they count together.

        Args:
            id_: of the other one.
            grace_s: how long that one is still good for.

        Raises:
            FairleadError: as `revoke`, and FAILED_PRECONDITION for a key that is good for nothing.
        """
        now = self._now()
        made: list[tuple[Key, str]] = []

        def rotated(keys: Mapping[str, Key]) -> dict[str, Key]:
            old = self._known(keys, id_)
            if old.state(now) != "good":
                raise FairleadError(
                    Code.FAILED_PRECONDITION, f"key {id_} is {old.state(now)}", hint="fairlead keys create NAME"
                )
            expires = None if old.expires is None else now + old.expires - old.created
            key, text = mint(old.name, old.scopes, now, expires, rate=old.rate, quota=old.quota)
            made[:] = [(replace(key, account=old.account or old.id), text)]
            ends = now + grace_s if old.expires is None else min(old.expires, now + grace_s)
            return {**keys, id_: replace(old, expires=ends), made[0][0].id: made[0][0]}

        self._change(rotated)
        return made[0]

    def _check_mode(self, mode: int) -> None:
        if mode & _OTHERS:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{self.path} has mode {mode:04o}: others than its owner may use it",
                hint=f"chmod 600 {self.path}",
            )

    def _known(self, keys: Mapping[str, Key], id_: str) -> Key:
        if id_ not in keys:
            raise FairleadError(
                Code.NOT_FOUND, f"{id_!r:.80} is the id of no key in {self.path}", hint="fairlead keys list"
            )
        return keys[id_]

    def _change(self, change: Callable[[Mapping[str, Key]], dict[str, Key]]) -> dict[str, Key]:
        with storage_errors(f"changing {self.path}"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with exclusive(self.path.with_name(f".{self.path.name}.lock")):
                changed = change(self.read())
                self._save(changed)
        return changed

    def _save(self, keys: Mapping[str, Key]) -> None:
        body = {"schema_version": _SCHEMA_VERSION, "keys": {id_: key.to_json() for id_, key in keys.items()}}
        beside = self.path.with_name(f".{self.path.name}.new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as writer:  # noqa: PTH123 - a descriptor has no path
            writer.write(json.dumps(body, indent=2).encode() + b"\n")
            writer.flush()
            os.fsync(writer.fileno())
        beside.replace(self.path)
        sync_directory(self.path.parent)


def _check_name(name: str) -> None:
    if not name.isprintable() or not 0 < len(name) <= _NAME_CHARACTERS or name != name.strip():
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{name!r:.80} is no key's name", hint=f"use 1 to {_NAME_CHARACTERS} characters"
        )
