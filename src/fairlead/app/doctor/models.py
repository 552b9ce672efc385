"""The model store: whether it can be written, and whether every version is as it was published."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

from fairlead.app.doctor.finding import Finding, Health, ok
from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.mirrored_store import MirroredStore
from fairlead.store.store import Store

__all__ = ["digests", "readable_manifests", "writable"]


def readable_manifests(store: Store) -> list[Manifest]:
    """The manifests that can be read; `digests` reports the others."""
    found = []
    for model in store.models():
        for version in store.versions(model):
            try:
                found.append(store.manifest(ServableId(model, version)))
            except FairleadError:
                continue
    return found


def writable(store: Store) -> Finding:
    """Whether the store is one, and can be published into."""
    name = "store"
    place = next(path for path in (store.root, *store.root.absolute().parents) if path.exists())
    try:
        store.check()
    except FairleadError as error:
        if store.root.exists():
            return Finding(name=name, health=Health.FAILED, message=error.message, hint=error.hint)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(
            name=name,
            health=Health.WARNING,
            message=f"{place} cannot be written ({error.strerror}): it can be served from but not published into",
            hint=f"chown -R {os.getuid()} {place}, or mount it with write access",
        )
    state = f"{len(store.models())} models" if store.root.exists() else "not there yet, the first publish makes it"
    if isinstance(store, MirroredStore):  # whether the bucket takes anything is known once something is written
        return ok(name, f"{store.where}: {state}, followed in {store.root}")
    return ok(name, f"{store.where}: {state}, writable")


def digests(store: Store) -> Iterator[Finding]:
    """Every version against its digests; one that is released and damaged is a failure."""
    for model in store.models():
        try:
            release = store.release(model)
        except FairleadError as error:
            yield Finding(name=model, health=Health.FAILED, message=error.message, hint=f"fairlead rollback {model}")
            continue
        wanted = release.versions if release else frozenset()
        for version in sorted({*store.versions(model), *wanted}):
            yield _digest(store, ServableId(model, version), is_wanted=version in wanted)


def _digest(store: Store, id_: ServableId, *, is_wanted: bool) -> Finding:
    try:
        version = store.open(id_)
    except FairleadError as error:
        return Finding(
            name=str(id_),
            health=Health.FAILED if is_wanted else Health.WARNING,
            message=error.message,
            hint=f"fairlead rollback {id_.model}"
            if is_wanted
            else f"remove it: {_removal(store)}{store.where}/{id_.model}/{id_.version}",
        )
    return ok(
        str(id_), f"{len(version.manifest.files)} files, every byte as published{' and released' if is_wanted else ''}"
    )


def _removal(store: Store) -> str:
    """The command for a directory; clouds have their own."""
    return "" if isinstance(store, MirroredStore) else "rm -r "
