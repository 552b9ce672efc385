"""A directory of models: whole versions, and for each model the small file that says which should serve."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId, check_model_name, parse_version
from fairlead.servable.manifest import Manifest
from fairlead.store import files
from fairlead.store.plain import plain_versions
from fairlead.store.release import Release
from fairlead.store.signing import SIGNATURE_FILE, TrustedKeys

__all__ = ["HISTORY", "MANIFEST_FILE", "RELEASE_FILE", "Store", "Version", "is_model_name", "names_in"]

MANIFEST_FILE = "manifest.json"
RELEASE_FILE = "release.json"
HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A published version whose every byte has been checked against its manifest."""

    directory: Path
    manifest: Manifest


class Store:
    """The model store under `root`, to read. Needs no lock and never writes; `writable_store` has the other half.

    Args:
        root: the directory; made by the first publish.
        trusted: one of these keys must have signed a version; None for versions that need no signature.
    """

    def __init__(self, root: Path, *, trusted: TrustedKeys | None = None) -> None:
        self.root = root
        self._trusted = trusted

    @property
    def where(self) -> str:
        """Where the store is, for people."""
        return str(self.root)

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
        names = [name for name in names_in(self.root) if not name.startswith(".")]
        if names and not self.models():
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{self.root} is not a model store: it holds {', '.join(names[:3])} but no folder with a version in it",
                hint="name a directory whose folders are models: --store DIR",
            )

    def models(self) -> tuple[str, ...]:
        """The names of all models with a version or a release, sorted; those with plain versions are among them."""
        return tuple(name for name in names_in(self.root) if is_model_name(name) and self._is_model(self.root / name))

    def versions(self, model: str) -> tuple[int, ...]:
        """The published versions, oldest first. Directories without a manifest are not versions."""
        base = self.base(model)
        numbers = [parse_version(name) for name in names_in(base)]
        return tuple(sorted(v for v in numbers if v and (base / str(v) / MANIFEST_FILE).is_file()))

    def unfinished(self, model: str) -> tuple[str, ...]:
        """Names that look like versions but hold no manifest: somebody's copy in progress, or a wreck."""
        base = self.base(model)
        whole = {str(version) for version in self.versions(model)}
        return tuple(name for name in names_in(base) if name.isdigit() and name not in whole)

    def manifest(self, id_: ServableId) -> Manifest:
        """Read a version's manifest, without looking at its other files.

        Raises:
            FairleadError: NOT_FOUND, or DATA_LOSS when the manifest is damaged or another version's.
        """
        path = self.base(id_.model) / str(id_.version) / MANIFEST_FILE
        try:
            manifest = Manifest.decode(files.read_file(path), str(path))
        except OSError as error:
            raise self._no_version(id_) from error
        if manifest.id != id_:
            raise FairleadError(Code.DATA_LOSS, f"{path} is the manifest of {manifest.id}, not of {id_}")
        return manifest

    def has_files(self, id_: ServableId) -> bool:
        """Whether all files of a version are there, whatever is in them."""
        try:
            return all((self.base(id_.model) / str(id_.version) / name).exists() for name in self.manifest(id_).files)
        except FairleadError:
            return False

    def members(self, model: str) -> frozenset[int]:
        """The versions of `model` that versions of any model are made of."""
        found: set[int] = set()
        for other in self.models():
            for version in self.versions(other):
                with contextlib.suppress(FairleadError):  # a damaged one is not loaded, whatever it is made of
                    members = self.manifest(ServableId(other, version)).members
                    found |= {member.version for member in members if member.model == model}
        return frozenset(found)

    def digest(self, id_: ServableId) -> str:
        """The SHA-256 (hex) of a version's manifest, which says what is in the version; NOT_FOUND when it has none."""
        try:
            return files.digest_file(self.base(id_.model) / str(id_.version) / MANIFEST_FILE)
        except OSError as error:
            raise self._no_version(id_) from error

    def open(self, id_: ServableId) -> Version:
        """Check every byte of a version against its manifest, and its signature where it needs one.

        Raises:
            FairleadError: NOT_FOUND, DATA_LOSS naming the file that is missing, foreign or changed, or
                FAILED_PRECONDITION saying what is wrong with the signature.
        """
        manifest = self.manifest(id_)
        directory = self.base(id_.model) / str(id_.version)
        with files.storage_errors(f"reading {directory}"):
            found = set(names_in(directory)) - {MANIFEST_FILE, SIGNATURE_FILE}
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
        self.check_signature(directory)
        return Version(directory=directory, manifest=manifest)

    def check_signature(self, directory: Path) -> None:
        """Raise unless the version in `directory` is signed with a trusted key, or needs no signature.

        Raises:
            FairleadError: FAILED_PRECONDITION with the reason.
        """
        if self._trusted is not None:
            self._trusted.check(directory)

    def signature_problems(self, model: str) -> Mapping[int, str]:
        """Why published versions are not served for want of a good signature; none where they need none."""
        if self._trusted is None:
            return {}
        directories = {self.base(model) / str(version): version for version in self.versions(model)}
        problems = self._trusted.problems(list(directories))
        return {directories[directory]: problem for directory, problem in problems.items() if problem}

    def release(self, model: str) -> Release | None:
        """What should serve, or None when nothing was ever released.

        Raises:
            FairleadError: DATA_LOSS when the file is damaged.
        """
        return _read_release(self.base(model) / RELEASE_FILE)

    def history(self, model: str) -> tuple[Release, ...]:
        """Every release there ever was, oldest first; the last is in force."""
        releases = {release.revision: release for release in self._recorded(model)}
        current = self.in_force(model)
        if current:
            releases[current.revision] = current
        return tuple(releases[revision] for revision in sorted(releases))

    def in_force(self, model: str) -> Release | None:
        """The release; the last one in the history when `release.json` is damaged, so that a writer can mend it."""
        try:
            return self.release(model)
        except FairleadError as error:
            if error.code is not Code.DATA_LOSS:
                raise
            return max(self._recorded(model), key=lambda release: release.revision, default=None)

    def _recorded(self, model: str) -> list[Release]:
        history = self.base(model) / HISTORY
        entries = [_read_release(history / name) for name in names_in(history) if name[:1].isdigit()]
        return [release for release in entries if release]

    def base(self, model: str) -> Path:
        """The model's directory, which need not exist; its name has been checked."""
        return self.root / check_model_name(model)

    def _is_model(self, base: Path) -> bool:
        if (base / RELEASE_FILE).is_file() or self.versions(base.name):
            return True
        try:
            return bool(plain_versions(base))
        except OSError:
            return False

    def _no_version(self, id_: ServableId) -> FairleadError:
        versions = self.versions(id_.model)
        if versions:
            there = f"it has {', '.join(map(str, versions))}"
            return FairleadError(
                Code.NOT_FOUND,
                f"{id_.model} has no version {id_.version}: {there}",
                hint=f"fairlead versions {id_.model}",
            )
        return self.no_model(id_.model)

    def no_model(self, model: str) -> FairleadError:
        """What to raise for a model that is not there, or has nothing published."""
        models = self.models()
        if model in models:
            return FairleadError(
                Code.NOT_FOUND,
                f"no version of {model!r} in {self.where} was published",
                hint=f"plain versions are served as they are: GET /v1/models/{model} tells how they do",
            )
        known = ", ".join(models) or "none"
        return FairleadError(
            Code.NOT_FOUND, f"there is no model {model!r} in {self.where}", hint=f"models there: {known}"
        )


def names_in(directory: Path) -> list[str]:
    """The sorted names in `directory`; none when it is not one."""
    try:
        return sorted(entry.name for entry in directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_model_name(name: str) -> bool:
    """Whether a directory of that name can be a model's."""
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
