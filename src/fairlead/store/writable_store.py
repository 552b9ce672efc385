"""The half of the model store that writes: one writer a model at a time, and nothing half done to be seen."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId, parse_version
from fairlead.servable.manifest import Manifest
from fairlead.store import files
from fairlead.store.release import Candidate, Note, Release, earlier_stables
from fairlead.store.signing import SIGNATURE_FILE, SigningKey, TrustedKeys
from fairlead.store.store import HISTORY, MANIFEST_FILE, RELEASE_FILE, Store, Version, names_in

__all__ = ["Rollback", "WritableStore"]

_INCOMING = ".incoming-"
_LOCK = ".lock"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What a rollback did: the new release, what it left, and the damaged versions it passed over."""

    release: Release
    left: int
    passed_over: Mapping[int, str]


class WritableStore(Store):
    """The model store under `root`, to read and to write.

    Args:
        root: the directory; made by the first publish.
        now: the clock that stamps releases.
        who: the writer's name in the history.
        trusted: see `Store`.
        signing_key: signs what is published; None to leave it unsigned.
    """

    def __init__(
        self,
        root: Path,
        *,
        now: Callable[[], datetime],
        who: str,
        trusted: TrustedKeys | None = None,
        signing_key: SigningKey | None = None,
    ) -> None:
        super().__init__(root, trusted=trusted)
        self._now = now
        self._who = who
        self._signing_key = signing_key

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
            self.base(model).mkdir(parents=True, exist_ok=True)
            with self._writing(model) as base:
                version = self._next_version(model)
                incoming = base / f"{_INCOMING}{version}"
                incoming.mkdir()
                digests = {name: files.copy_file(path, incoming / name) for name, path in sources.items()}
                manifest = describe(version, digests)
                files.write_file(incoming / MANIFEST_FILE, manifest.encode())
                if self._signing_key is not None:
                    self._sign(self._signing_key, incoming, incoming / SIGNATURE_FILE)
                incoming.rename(base / str(version))
                files.sync_directory(base)
        return Version(directory=base / str(version), manifest=manifest)

    def sign(self, id_: ServableId, key: SigningKey) -> None:
        """Sign a version that was published, after checking its bytes; a signature that it has is replaced.

        Raises:
            FairleadError: NOT_FOUND, DATA_LOSS, or FAILED_PRECONDITION when the key cannot be used.
        """
        with files.storage_errors(f"signing {id_}"), self._writing(id_.model) as base:
            directory = Store(self.root).open(id_).directory  # whatever signature it has now
            incoming = base / f"{_INCOMING}signature"
            incoming.mkdir()
            try:
                self._sign(key, directory, incoming / SIGNATURE_FILE)
                (incoming / SIGNATURE_FILE).rename(directory / SIGNATURE_FILE)
                files.sync_directory(directory)
            finally:
                shutil.rmtree(incoming)

    @staticmethod
    def _sign(key: SigningKey, directory: Path, target: Path) -> None:
        """Write the signature of what is in `directory`, so that it survives the loss of power."""
        key.sign(directory, target)
        files.write_file(target, target.read_bytes())

    def promote(
        self,
        id_: ServableId,
        *,
        why: str,
        label: str | None = None,
        expected: int | None = None,
        evidence: Mapping[str, Any] = _NOTHING,
    ) -> Release:
        """Make a version stable, or let `label` mean it, after checking all its bytes. A repeat changes nothing.

        What was tried beside the stable version is tried no more.

        Args:
            id_: the version.
            why: for the history.
            label: move this label and leave the stable version alone.
            expected: the revision that the caller decided on, 0 for no release; None does not ask.
            evidence: what `why` rests on.

        Raises:
            FairleadError: NOT_FOUND, DATA_LOSS, FAILED_PRECONDITION for a label before anything is stable, or ABORTED
                when the release in force is not the expected one.
        """
        with files.storage_errors(f"promoting {id_}"), self._writing(id_.model) as base:
            self.open(id_)
            current = self._expected(id_.model, expected)
            note = self._note(why, evidence)
            if current and label is None and current.stable == id_.version:
                return (
                    current
                    if current.candidate is None
                    else self._write_release(base, current.with_candidate(None, note))
                )
            if current and label is not None and current.resolve(label) == id_.version:
                return current
            return self._write_release(base, _promoted(current, id_, label, note))

    def try_candidate(
        self,
        model: str,
        candidate: Candidate | None,
        *,
        why: str,
        expected: int | None = None,
        evidence: Mapping[str, Any] = _NOTHING,
    ) -> Release:
        """Try a version beside the stable one, give it another weight, or with None try nothing any more.

        All its bytes are checked before it is tried. A repeat changes nothing. For the other arguments see `promote`.

        Raises:
            FairleadError: NOT_FOUND, DATA_LOSS, FAILED_PRECONDITION when nothing is stable yet or the stable version is
                the candidate, or ABORTED as in `promote`.
        """
        with files.storage_errors(f"trying a candidate of {model}"), self._writing(model) as base:
            current = self._expected(model, expected)
            if current is None:
                raise FairleadError(
                    Code.FAILED_PRECONDITION,
                    f"{model} has no stable version to compare with",
                    hint=f"fairlead promote {model} VERSION",
                )
            if candidate == current.candidate:
                return current
            if candidate is not None:
                if candidate.version == current.stable:
                    raise FairleadError(
                        Code.FAILED_PRECONDITION, f"version {candidate.version} of {model} is the stable one already"
                    )
                self.open(ServableId(model, candidate.version))
            return self._write_release(base, current.with_candidate(candidate, self._note(why, evidence)))

    def rollback(
        self, model: str, *, why: str, to: int | None = None, evidence: Mapping[str, Any] = _NOTHING
    ) -> Rollback:
        """Return to the nearest earlier stable version that is whole, or to `to`. Needs nothing but this store.

        Raises:
            FairleadError: FAILED_PRECONDITION when there is nothing to go back to; NOT_FOUND or DATA_LOSS for `to`.
        """
        with files.storage_errors(f"rolling back {model}"), self._writing(model) as base:
            current = self.in_force(model)
            if current is None:
                raise FairleadError(
                    Code.FAILED_PRECONDITION, f"{model} has no release", hint=f"fairlead versions {model}"
                )
            target, passed_over = self._rollback_target(model, to)
            release = current.with_stable(target, self._note(why, evidence))
            return Rollback(release=self._write_release(base, release), left=current.stable, passed_over=passed_over)

    def _note(self, why: str, evidence: Mapping[str, Any]) -> Note:
        return Note(who=self._who, why=why, at=self._now(), evidence=evidence)

    def _expected(self, model: str, revision: int | None) -> Release | None:
        """The release in force, which must be of that revision unless it is None."""
        current = self.in_force(model)
        found = current.revision if current else 0
        if revision not in (None, found):
            raise FairleadError(
                Code.ABORTED,
                f"the release of {model} is at revision {found}, no longer {revision}",
                hint=f"fairlead versions {model}",
            )
        return current

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
        history = base / HISTORY
        history.mkdir(exist_ok=True)
        entry = history / f"{release.revision:06d}.json"
        if not entry.exists():
            files.write_file(entry, release.encode())
            files.sync_directory(base)

    @contextlib.contextmanager
    def _writing(self, model: str) -> Iterator[Path]:
        """Hold the model's lock, with what a killed writer left behind cleared away."""
        base = self.base(model)
        if not base.is_dir():
            raise self.no_model(model)
        with files.exclusive(base / _LOCK):
            for name in names_in(base):
                if name.startswith(_INCOMING):
                    shutil.rmtree(base / name)
            current = self.in_force(model)
            if current:
                self._record(base, current)
            yield base

    def _next_version(self, model: str) -> int:
        """One more than any version that exists, is half there, or ever was released: numbers are not reused."""
        numbers = [int(name) for name in names_in(self.base(model)) if parse_version(name)]
        released = [version for release in self.history(model) for version in release.versions]
        return max([*numbers, *released, 0]) + 1


def _promoted(current: Release | None, id_: ServableId, label: str | None, note: Note) -> Release:
    if current is None:
        if label is not None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{id_.model} has no stable version yet",
                hint=f"fairlead promote {id_.model} {id_.version}",
            )
        return Release(revision=1, stable=id_.version, who=note.who, why=note.why, at=note.at, evidence=note.evidence)
    if label is None:
        return current.with_stable(id_.version, note)
    return current.with_label(label, id_.version, note)
