"""What a host has of a store in a bucket: a directory that is a store itself, and goes on without the bucket.

A release is there only once every version that it names is there, whole and as published. One process at a time writes;
whoever serves reads it as any other store.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId, parse_version
from fairlead.servable.manifest import Manifest
from fairlead.store import files
from fairlead.store.bucket import Bucket
from fairlead.store.release import Release
from fairlead.store.signing import SIGNATURE_FILE
from fairlead.store.store import HISTORY, MANIFEST_FILE, RELEASE_FILE, Store, is_model_name, names_in

__all__ = ["Mirror"]

_LOCK, _PULLED, _ETAG, _INCOMING = ".mirror-lock", ".pulled", ".etag", ".mirror-incoming"
_LOCK_TIMEOUT_S = 600.0
_IN_USE_S = 600.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_OF_THE_BUCKET = frozenset({Code.UNAVAILABLE, Code.PERMISSION_DENIED, Code.RESOURCE_EXHAUSTED})
"""What concerns one model as much as the next: no other is tried then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Damage:
    """A file of the bucket that is not as published, which is not read again before `until`: it may be large."""

    error: FairleadError
    pause_s: float
    until: float


class Mirror:
    """The copy under `root` of what is in `bucket`. Used by several threads and processes.

    Args:
        bucket: where the store is.
        root: where the copy is; made when it is not there.
        most_bytes: what versions that no release names may take; those that were needed longest ago go first.
        clock: seconds that only go forward.
    """

    def __init__(
        self, bucket: Bucket, root: Path, most_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.bucket = bucket
        self.root = root
        self._most_bytes = most_bytes
        self._thread_lock = threading.RLock()
        self._depth = 0
        self._is_listed = False
        self._clock = clock
        self._damaged: dict[tuple[str, str], _Damage] = {}  # by name in the bucket and wanted digest

    @property
    def pulled_at(self) -> float:
        """The second since 1970 at which this was last like the bucket; 0 for never."""
        try:
            return (self.root / _PULLED).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other writer of this copy out; may be held again inside."""
        with self._thread_lock:
            if self._depth:
                yield
                return
            self.root.mkdir(parents=True, exist_ok=True)
            with files.exclusive(self.root / _LOCK, _LOCK_TIMEOUT_S):
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1

    def pull(self, *, is_whole: bool = False, takes_damage: bool = False) -> None:
        """Follow the bucket: releases that have changed; with `is_whole`, and the first time, all that is there.

        Args:
            is_whole: whether to list it.
            takes_damage: see `pull_release`.

        Raises:
            FairleadError: UNAVAILABLE, PERMISSION_DENIED or NOT_FOUND for the bucket; FAILED_PRECONDITION when it holds
                something else; DATA_LOSS for a version that is not as published. What was there before stays. What is
                wrong with one model is told when all others have been followed.
        """
        damage: list[FairleadError] = []
        with files.storage_errors(f"copying {self.bucket.url} to {self.root}"), self.held():
            if is_whole or not self._is_listed:
                self._list()
                self._is_listed = True
            for model in self._models():
                try:
                    self.pull_release(model, takes_damage=takes_damage)
                except FairleadError as error:
                    if error.code in _OF_THE_BUCKET:
                        raise
                    damage.append(error)
            if damage:
                raise damage[0]
            (self.root / _PULLED).touch()

    def mend(self) -> None:
        """Look at every byte of what the releases name here, and read anew what is damaged. Raises as `fetch`."""
        with files.storage_errors(f"mending {self.root}"), self.held():
            store = Store(self.root)
            for model in store.models():
                release = store.in_force(model)
                for version in sorted(release.versions if release else ()):
                    self.fetch(ServableId(model, version))

    def pull_all(self) -> None:
        """Have every version's files here, as a backup needs them. Raises as `pull` and `fetch`."""
        with self.held():
            self.pull(is_whole=True)
            store = Store(self.root)
            for model in store.models():
                for version in store.versions(model):
                    self.fetch(ServableId(model, version))

    def pull_release(self, model: str, *, takes_damage: bool = False) -> None:
        """Follow one model's release, if it has changed; first what it names, or without one the newest version.

        Args:
            model: which.
            takes_damage: follow it even if it, or a version that it names, is damaged: whoever rolls back has to.
        """
        with self.held():
            base = self.root / model
            found = self.bucket.get(f"{model}/{RELEASE_FILE}", unless=self.etag(model))
            if found is None:
                self._fetch_newest(model)
                return
            try:
                release = Release.decode(found.data, f"{self.bucket.url}/{model}/{RELEASE_FILE}")
                for version in sorted(release.versions):
                    self.fetch(ServableId(model, version))
            except FairleadError as error:
                if not takes_damage or error.code not in (Code.DATA_LOSS, Code.NOT_FOUND):
                    raise
            self._pull_history(model)
            files.write_file(base / RELEASE_FILE, found.data)
            self.remember(model, found.etag)
            self._evict()

    def fetch(self, id_: ServableId) -> None:
        """Have all files of a version and of what it is made of here; those that are as published are not read again.

        Raises:
            FairleadError: NOT_FOUND, or DATA_LOSS when the bucket's files are not those of the manifest.
        """
        with self.held():
            for member in self._fetch(id_).members:
                self._fetch(member)

    def _fetch(self, id_: ServableId) -> Manifest:
        remote, directory = f"{id_.model}/{id_.version}", self.root / id_.model / str(id_.version)
        with self.held():
            found = self.bucket.get(f"{remote}/{MANIFEST_FILE}")
            if found is None:
                raise FairleadError(
                    Code.NOT_FOUND,
                    f"{id_} is not in {self.bucket.url}: it has no manifest there",
                    hint=f"fairlead versions {id_.model}",
                )
            manifest = Manifest.decode(found.data, f"{self.bucket.url}/{remote}/{MANIFEST_FILE}")
            directory.mkdir(parents=True, exist_ok=True)
            for name, digest in manifest.files.items():
                if not _is_as(directory / name, digest):
                    self._download(f"{remote}/{name}", directory / name, digest)
            self._pull_signature(remote, directory)
            if not (directory / MANIFEST_FILE).is_file() or (directory / MANIFEST_FILE).read_bytes() != found.data:
                files.write_file(directory / MANIFEST_FILE, found.data)
            os.utime(directory)
        return manifest

    def _fetch_newest(self, model: str) -> None:
        """Where there was never a release the newest version serves."""
        store = Store(self.root)
        newest = store.versions(model)[-1:] if not self.etag(model) else ()
        for version in newest:
            id_ = ServableId(model, version)
            if not all(map(store.has_files, (id_, *store.manifest(id_).members))):
                self.fetch(id_)

    def etag(self, model: str) -> str:
        """The state of the model's release that was last seen; empty for none."""
        try:
            return (self.root / model / _ETAG).read_text()
        except FileNotFoundError:
            return ""

    def remember(self, model: str, etag: str) -> None:
        """The release here is now what that etag names in the bucket."""
        files.write_file(self.root / model / _ETAG, etag.encode())

    def _models(self) -> list[str]:
        return [name for name in names_in(self.root) if not name.startswith(".") and (self.root / name).is_dir()]

    def _list(self) -> None:
        """Every model and version: its manifest and signature; what the bucket has no longer goes here too."""
        names = self.bucket.names("")
        whole: dict[str, set[str]] = {}
        for name in (name for name in names if is_model_name(name.partition("/")[0])):
            model, _, rest = name.partition("/")
            if rest == RELEASE_FILE:
                whole.setdefault(model, set())
            elif rest.endswith(f"/{MANIFEST_FILE}") and parse_version(rest.partition("/")[0]):
                whole.setdefault(model, set()).add(rest.partition("/")[0])
        if names and not whole:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{self.bucket.url} is not a model store: it holds {', '.join(names[:3])} but no folder with a version",
                hint="name a folder whose folders are models: --store s3://BUCKET/FOLDER",
            )
        signed = {name.removesuffix(f"/{SIGNATURE_FILE}") for name in names if name.endswith(f"/{SIGNATURE_FILE}")}
        for model, versions in whole.items():
            for version in versions:
                self._pull_manifest(f"{model}/{version}", has_signature=f"{model}/{version}" in signed)
        for model in self._models():
            for version in names_in(self.root / model):
                if parse_version(version) and version not in whole.get(model, set()):
                    shutil.rmtree(self.root / model / version)

    def _pull_manifest(self, remote: str, *, has_signature: bool) -> None:
        directory = self.root / remote
        if (directory / MANIFEST_FILE).is_file() and (not has_signature or (directory / SIGNATURE_FILE).is_file()):
            return
        found = self.bucket.get(f"{remote}/{MANIFEST_FILE}")
        if found is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._pull_signature(remote, directory)
            files.write_file(directory / MANIFEST_FILE, found.data)

    def _pull_signature(self, remote: str, directory: Path) -> None:
        found = self.bucket.get(f"{remote}/{SIGNATURE_FILE}")
        if found is not None:
            files.write_file(directory / SIGNATURE_FILE, found.data)

    def _pull_history(self, model: str) -> None:
        history = self.root / model / HISTORY
        history.mkdir(exist_ok=True)
        known = set(names_in(history))
        for path in self.bucket.names(f"{model}/{HISTORY}"):
            name = path.rpartition("/")[2]
            if name not in known and (found := self.bucket.get(path)) is not None:
                files.write_file(history / name, found.data)

    def _download(self, remote: str, target: Path, digest: str) -> None:
        known = self._damaged.get((remote, digest))
        if known is not None and self._clock() < known.until:
            raise known.error
        incoming = self.root / _INCOMING
        actual = self.bucket.download(remote, incoming)
        if actual != digest:
            incoming.unlink()
            error = FairleadError(
                Code.DATA_LOSS, f"{self.bucket.url}/{remote} has the SHA-256 {actual} but its manifest says {digest}"
            )
            pause_s = _FIRST_PAUSE_S if known is None else min(2 * known.pause_s, _LONGEST_PAUSE_S)
            self._damaged[remote, digest] = _Damage(error=error, pause_s=pause_s, until=self._clock() + pause_s)
            raise error
        self._damaged.pop((remote, digest), None)
        incoming.rename(target)

    def _needed(self, store: Store) -> set[ServableId]:
        """What the releases name, and what that is made of."""
        needed: set[ServableId] = set()
        for model in self._models():
            release = store.in_force(model)
            for version in release.versions if release else store.versions(model)[-1:]:
                needed.add(ServableId(model, version))
                with suppress(FairleadError):  # damaged, and taken so: whoever rolls back has to
                    needed.update(store.manifest(ServableId(model, version)).members)
        return needed

    def _evict(self) -> None:
        """Delete the files, not the manifests, of what no release names, until there is room."""
        store, kept = Store(self.root), []
        needed = self._needed(store)
        for model in self._models():
            for version in store.versions(model):
                directory = self.root / model / str(version)
                size = sum(path.stat().st_size for path in directory.iterdir())
                kept.append((directory.stat().st_mtime, size, directory, ServableId(model, version) in needed))
        left = sum(size for _, size, _, _ in kept)
        for used_at, size, directory, is_needed in sorted(kept):
            if left > self._most_bytes and not is_needed and used_at < time.time() - _IN_USE_S:
                for path in directory.iterdir():
                    if path.name not in (MANIFEST_FILE, SIGNATURE_FILE):
                        path.unlink()
                left -= size


def _is_as(path: Path, digest: str) -> bool:
    try:
        return files.digest_file(path) == digest
    except (FileNotFoundError, FairleadError):
        return False
