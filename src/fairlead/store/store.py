"""A directory of models. Any number of readers, one writer a model at a time, whole versions only."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId, check_model_name, parse_version
from fairlead.servable.manifest import Manifest
from fairlead.store import files
from fairlead.store.release import Release, earlier_stables

__all__ = ["MANIFEST_FILE", "RELEASE_FILE", "Rollback", "Store", "Version"]

MANIFEST_FILE = "manifest.json"
RELEASE_FILE = "release.json"
_HISTORY = "history"
_INCOMING = ".incoming-"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A published version whose every byte has been checked against its manifest."""

    directory: Path
    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What a rollback did: the new release, what it left, and the damaged versions it passed over."""

    release: Release
    left: int
    passed_over: Mapping[int, str]


class Store:
    """The model store under `root`. Reading needs no lock and never writes.

    Args:
        root: the directory; made by the first publish.
        now: the clock that stamps releases.
        who: the writer's name in the history.
    """

    def __init__(self, root: Path, *, now: Callable[[], datetime], who: str) -> None:
        self.root = root
        self._now = now
        self._who = who

    # -- reading ---------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise unless `root` is a store or an empty directory that may become one.

        Raises:
            FairleadError: NOT_FOUND when it is not there, FAILED_PRECONDITION when it holds something else.
        """
        if not self.root.is_dir():
            what = "is not a directory" if self.root.exists() else "does not exist"
            raise FairleadError(
                Code.NOT_FOUND,
                f"the model store {self.root} {what}",
                hint="fairlead train digits, or name another --store",
            )
        names = [name for name in _names(self.root) if not name.startswith(".")]
        if names and not self.models():
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{self.root} is not a model store: it holds {', '.join(names[:3])} but no folder with a version in it",
                hint="name a directory whose folders are models: --store DIR",
            )

    def models(self) -> tuple[str, ...]:
        """The names of all models with a version or a release, sorted."""
        return tuple(name for name in _names(self.root) if _is_model_name(name) and self._is_model(self.root / name))

    def versions(self, model: str) -> tuple[int, ...]:
        """The published versions, oldest first. Directories without a manifest are not versions."""
        base = self._base(model)
        numbers = [parse_version(name) for name in _names(base)]
        return tuple(sorted(v for v in numbers if v and (base / str(v) / MANIFEST_FILE).is_file()))

    def unfinished(self, model: str) -> tuple[str, ...]:
        """Names that look like versions but hold no manifest: somebody's copy in progress, or a wreck."""
        base = self._base(model)
        whole = {str(version) for version in self.versions(model)}
        return tuple(name for name in _names(base) if name.isdigit() and name not in whole)

    def manifest(self, id_: ServableId) -> Manifest:
        """Read a version's manifest, without looking at its other files.

        Raises:
            FairleadError: NOT_FOUND, or DATA_LOSS when the manifest is damaged or another version's.
        """
        path = self._base(id_.model) / str(id_.version) / MANIFEST_FILE
        try:
            manifest = Manifest.decode(path.read_bytes(), str(path))
        except OSError as error:
            raise self._no_version(id_) from error
        if manifest.id != id_:
            raise FairleadError(Code.DATA_LOSS, f"{path} is the manifest of {manifest.id}, not of {id_}")
        return manifest

    def open(self, id_: ServableId) -> Version:
        """Check every byte of a version against its manifest.

        Raises:
            FairleadError: NOT_FOUND, or DATA_LOSS naming the file that is missing, foreign or changed.
        """
        manifest = self.manifest(id_)
        directory = self._base(id_.model) / str(id_.version)
        with files.storage_errors(f"reading {directory}"):
            found = set(_names(directory)) - {MANIFEST_FILE}
            if found != manifest.files.keys():
                raise FairleadError(
                    Code.DATA_LOSS,
                    f"{directory} holds {sorted(found)} but its manifest lists {sorted(manifest.files)}",
                )
            for name, digest in manifest.files.items():
                actual = files.digest_file(directory / name)
                if actual != digest:
                    raise FairleadError(
                        Code.DATA_LOSS,
                        f"{directory / name} has the SHA-256 {actual} but its manifest says {digest}",
                        hint=f"fairlead rollback {id_.model}, then publish the version anew",
                    )
        return Version(directory=directory, manifest=manifest)

    def release(self, model: str) -> Release | None:
        """What should serve, or None when nothing was ever released.

        Raises:
            FairleadError: DATA_LOSS when the file is damaged.
        """
        return _read_release(self._base(model) / RELEASE_FILE)

    def history(self, model: str) -> tuple[Release, ...]:
        """Every release there ever was, oldest first; the last is in force."""
        releases = {release.revision: release for release in self._recorded(model)}
        current = self._in_force(model)
        if current:
            releases[current.revision] = current
        return tuple(releases[revision] for revision in sorted(releases))

    # -- writing ---------------------------------------------------------------------------------------------------

    def publish(
        self, model: str, sources: Mapping[str, Path], describe: Callable[[int, Mapping[str, str]], Manifest]
    ) -> Version:
        """Publish the files as the next version; it appears whole, by one rename, or not at all.

        Args:
            model: its name.
            sources: the files to copy, by the name they get.
            describe: makes the manifest from the version's number and the SHA-256 of each file.

        Raises:
            FairleadError: RESOURCE_EXHAUSTED on a full disk, FAILED_PRECONDITION when the store cannot be written.
        """
        with files.storage_errors(f"publishing {model} into {self.root}"):
            self._base(model).mkdir(parents=True, exist_ok=True)
        with files.storage_errors(f"publishing {model} into {self.root}"), self._writing(model) as base:
            version = self._next_version(model)
            incoming = base / f"{_INCOMING}{version}"
            incoming.mkdir()
            digests = {name: files.copy_file(path, incoming / name) for name, path in sources.items()}
            manifest = describe(version, digests)
            files.write_file(incoming / MANIFEST_FILE, manifest.encode())
            incoming.rename(base / str(version))
            files.sync_directory(base)
        return Version(directory=base / str(version), manifest=manifest)

    def promote(self, id_: ServableId, *, why: str, label: str | None = None) -> Release:
        """Make a version stable, or let `label` mean it, after checking all its bytes. A repeat changes nothing.

        Raises:
            FairleadError: NOT_FOUND, DATA_LOSS, or FAILED_PRECONDITION for a label before anything is stable.
        """
        with files.storage_errors(f"promoting {id_}"), self._writing(id_.model) as base:
            self.open(id_)
            current = self._in_force(id_.model)
            if current and (current.stable if label is None else current.resolve(label)) == id_.version:
                return current
            return self._write_release(base, self._promoted(current, id_, label, why))

    def rollback(self, model: str, *, why: str, to: int | None = None) -> Rollback:
        """Return to the nearest earlier stable version that is whole, or to `to`. Needs nothing but this store.

        Raises:
            FairleadError: FAILED_PRECONDITION when there is nothing to go back to; NOT_FOUND or DATA_LOSS for `to`.
        """
        with files.storage_errors(f"rolling back {model}"), self._writing(model) as base:
            current = self._in_force(model)
            if current is None:
                raise FairleadError(
                    Code.FAILED_PRECONDITION, f"{model} has no release", hint=f"fairlead versions {model}"
                )
            target, passed_over = self._rollback_target(model, to)
            release = current.with_stable(target, who=self._who, why=why, at=self._now())
            return Rollback(release=self._write_release(base, release), left=current.stable, passed_over=passed_over)

    def _in_force(self, model: str) -> Release | None:
        """The release; the last one in the history when `release.json` is damaged, so that a writer can mend it."""
        try:
            return self.release(model)
        except FairleadError as error:
            if error.code is not Code.DATA_LOSS:
                raise
            return max(self._recorded(model), key=lambda release: release.revision, default=None)

    def _recorded(self, model: str) -> list[Release]:
        history = self._base(model) / _HISTORY
        entries = [_read_release(history / name) for name in _names(history) if name[:1].isdigit()]
        return [release for release in entries if release]

    def _promoted(self, current: Release | None, id_: ServableId, label: str | None, why: str) -> Release:
        at = self._now()
        if current is None:
            if label is not None:
                raise FairleadError(
                    Code.FAILED_PRECONDITION,
                    f"{id_.model} has no stable version yet",
                    hint=f"fairlead promote {id_.model} {id_.version}",
                )
            return Release(revision=1, stable=id_.version, who=self._who, why=why, at=at)
        if label is None:
            return current.with_stable(id_.version, who=self._who, why=why, at=at)
        return current.with_label(label, id_.version, who=self._who, why=why, at=at)

    def _rollback_target(self, model: str, to: int | None) -> tuple[int, dict[int, str]]:
        if to is not None:
            self.open(ServableId(model, to))
            return to, {}
        passed_over: dict[int, str] = {}
        for version in earlier_stables(self.history(model)):
            try:
                self.open(ServableId(model, version))
            except FairleadError as error:
                passed_over[version] = error.message
            else:
                return version, passed_over
        reasons = "".join(f"; version {version}: {reason}" for version, reason in passed_over.items())
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{model} has no earlier stable version to return to{reasons}",
            hint=f"fairlead versions {model}, then fairlead rollback {model} --to VERSION",
        )

    def _write_release(self, base: Path, release: Release) -> Release:
        """Put `release` in force, then into the history.

        A writer killed in between leaves a release without its history entry; the next writer adds it (`_writing`),
        and readers of the history count the release in force anyway.
        """
        files.write_file(base / RELEASE_FILE, release.encode())
        self._record(base, release)
        return release

    def _record(self, base: Path, release: Release) -> None:
        history = base / _HISTORY
        history.mkdir(exist_ok=True)
        entry = history / f"{release.revision:06d}.json"
        if not entry.exists():
            files.write_file(entry, release.encode())
            files.sync_directory(base)

    @contextlib.contextmanager
    def _writing(self, model: str) -> Iterator[Path]:
        """Hold the model's lock, with what a killed writer left behind cleared away."""
        base = self._base(model)
        if not base.is_dir():
            raise self._no_model(model)
        with files.exclusive(base / _LOCK):
            for name in _names(base):
                if name.startswith(_INCOMING):
                    shutil.rmtree(base / name)
            current = self._in_force(model)
            if current:
                self._record(base, current)
            yield base

    def _next_version(self, model: str) -> int:
        """One more than any version that exists, is half there, or ever was released: numbers are not reused."""
        numbers = [int(name) for name in _names(self._base(model)) if parse_version(name)]
        released = [version for release in self.history(model) for version in release.versions]
        return max([*numbers, *released, 0]) + 1

    def _base(self, model: str) -> Path:
        return self.root / check_model_name(model)

    def _is_model(self, base: Path) -> bool:
        return (base / RELEASE_FILE).is_file() or bool(self.versions(base.name))

    def _no_version(self, id_: ServableId) -> FairleadError:
        versions = self.versions(id_.model)
        if versions:
            there = f"it has {', '.join(map(str, versions))}"
            return FairleadError(
                Code.NOT_FOUND,
                f"{id_.model} has no version {id_.version}: {there}",
                hint=f"fairlead versions {id_.model}",
            )
        return self._no_model(id_.model)

    def _no_model(self, model: str) -> FairleadError:
        known = ", ".join(self.models()) or "none"
        return FairleadError(
            Code.NOT_FOUND, f"there is no model {model!r} in {self.root}", hint=f"models there: {known}"
        )


def _names(directory: Path) -> list[str]:
    """The sorted names in `directory`; none when it is not one."""
    try:
        return sorted(entry.name for entry in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_model_name(name: str) -> bool:
    try:
        check_model_name(name)
    except FairleadError:
        return False
    return True


def _read_release(path: Path) -> Release | None:
    try:
        return Release.decode(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
