"""A store in a bucket, to read and to write: what is decided here is decided there, by conditional writes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.mirror import Mirror
from fairlead.store.release import Release
from fairlead.store.signing import SIGNATURE_FILE, SigningKey, TrustedKeys
from fairlead.store.store import HISTORY, MANIFEST_FILE, RELEASE_FILE, Version
from fairlead.store.writable_store import WritableStore

__all__ = ["MirroredStore"]

_CLAIM = "claim"


class MirroredStore(WritableStore):
    """The store in the mirror's bucket; of two writers one is told ABORTED, wherever they are.

    A version's number is claimed by an object that only one writer can make; its manifest is written last, and without
    one nobody sees the version. The bucket's release is written before the mirror's.

    Args:
        mirror: the copy of it on this host.
        now, who, trusted, signing_key: see `WritableStore`.
    """

    def __init__(
        self,
        mirror: Mirror,
        *,
        now: Callable[[], datetime],
        who: str,
        trusted: TrustedKeys | None = None,
        signing_key: SigningKey | None = None,
    ) -> None:
        super().__init__(mirror.root, now=now, who=who, trusted=trusted, signing_key=signing_key)
        self._mirror = mirror

    @property
    def where(self) -> str:
        return self._mirror.bucket.url

    def open(self, id_: ServableId) -> Version:
        """As `Store.open`, once all its files are here."""
        self._mirror.fetch(id_)
        return super().open(id_)

    def publish(
        self, model: str, sources: Mapping[str, Path], describe: Callable[[int, Mapping[str, str]], Manifest]
    ) -> Version:
        """As `WritableStore.publish`; what cannot be brought to the bucket whole is nowhere."""
        with self._mirror.held():
            self._mirror.pull(is_whole=True)
            version = super().publish(model, sources, describe)
            try:
                self._upload(version.manifest, version.directory)
            except BaseException:
                shutil.rmtree(version.directory)
                raise
            return version

    def sign(self, id_: ServableId, key: SigningKey) -> None:
        with self._mirror.held():
            self._mirror.fetch(id_)
            super().sign(id_, key)
            path = self.root / id_.model / str(id_.version) / SIGNATURE_FILE
            self._mirror.bucket.upload(path, f"{id_.model}/{id_.version}/{SIGNATURE_FILE}")

    def _upload(self, manifest: Manifest, directory: Path) -> None:
        remote = f"{manifest.model}/{manifest.version}"
        names = [*manifest.files, *([SIGNATURE_FILE] if (directory / SIGNATURE_FILE).is_file() else [])]
        for name in names:
            self._mirror.bucket.upload(directory / name, f"{remote}/{name}")
        if not self._mirror.bucket.put_new(f"{remote}/{MANIFEST_FILE}", (directory / MANIFEST_FILE).read_bytes()):
            raise FairleadError(Code.ABORTED, f"somebody else has published {manifest.id} meanwhile")

    @contextlib.contextmanager
    def _writing(self, model: str) -> Iterator[Path]:
        with self._mirror.held():
            self._mirror.pull_release(model, takes_damage=True)
            with super()._writing(model) as base:
                yield base

    def _write_release(self, base: Path, release: Release) -> Release:
        path, data = f"{base.name}/{RELEASE_FILE}", release.encode()
        etag = self._mirror.bucket.put_over(path, data, self._mirror.etag(base.name))
        if etag is None:
            raise FairleadError(
                Code.ABORTED,
                f"the release of {base.name} was changed by another writer meanwhile",
                hint=f"fairlead versions {base.name}",
            )
        written = super()._write_release(base, release)
        self._mirror.remember(base.name, etag)
        return written

    def _record(self, base: Path, release: Release) -> None:
        name = f"{HISTORY}/{release.revision:06d}.json"
        if not (base / name).exists():
            self._mirror.bucket.put_new(f"{base.name}/{name}", release.encode())
        super()._record(base, release)

    def _next_version(self, model: str) -> int:
        number = super()._next_version(model)
        while not self._mirror.bucket.put_new(f"{model}/{number}/{_CLAIM}", self._who.encode()):
            number += 1
        return number
