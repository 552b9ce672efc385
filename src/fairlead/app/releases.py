"""The model store and the registry, put together for commands that look at releases and change them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fairlead.app.user import user_name
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId, parse_version
from fairlead.store.bucket import Bucket
from fairlead.store.mirror import Mirror
from fairlead.store.mirrored_store import MirroredStore
from fairlead.store.release import Release
from fairlead.store.signing import SigningKey, TrustedKeys
from fairlead.store.store import Store
from fairlead.store.writable_store import Rollback, WritableStore

if TYPE_CHECKING:
    from fairlead.training.registry import Registry

__all__ = [
    "find_version",
    "follow",
    "now",
    "open_mirror",
    "open_registry",
    "open_store",
    "open_writable_store",
    "promote",
    "rollback",
]


_CHAMPION = "champion"
"""What the registry calls the stable version; a label of that name goes before it."""


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def open_mirror(settings: Settings) -> Mirror | None:
    """This host's copy of the store, which may be old; None where the store is a directory.

    Raises:
        FairleadError: INVALID_ARGUMENT or FAILED_PRECONDITION for a bucket that cannot be one.
    """
    if settings.bucket_url is None:
        return None
    return Mirror(Bucket(settings.bucket_url), settings.store_path, settings.store_cache_bytes)


def open_store(settings: Settings) -> Store:
    """The model store, to read. Of a directory nothing is read yet; what a bucket has is known here from then on.

    Raises:
        FairleadError: FAILED_PRECONDITION when versions must be signed and there is no key to check them with, and what
            `Mirror.pull` raises.
    """
    if settings.bucket_url is not None:
        return open_writable_store(settings)
    return Store(settings.store_path, trusted=_trusted(settings))


def open_writable_store(settings: Settings, who: str = "") -> WritableStore:
    """The model store, to write in the name of `who`, else of whoever runs this; nothing is written yet.

    Raises:
        FairleadError: as `open_store`.
    """
    key = SigningKey(settings.signing_key) if settings.signing_key else None
    trusted, writer = _trusted(settings), who or user_name()
    mirror = open_mirror(settings)
    if mirror is None:
        return WritableStore(settings.store_path, now=now, who=writer, trusted=trusted, signing_key=key)
    mirror.pull(is_whole=True, takes_damage=True)
    return MirroredStore(mirror, now=now, who=writer, trusted=trusted, signing_key=key)


def find_version(store: Store, reference: str) -> ServableId:
    """The version that MODEL@VERSION, MODEL@LABEL or MODEL means; MODEL@champion and MODEL alone mean what is stable.

    Raises:
        FairleadError: NOT_FOUND when there is none.
    """
    model, _, name = reference.partition("@")
    version = parse_version(name)
    if version is None:
        release = store.release(model)
        version = release.resolve(name or "stable") if release else None
        if release and name == _CHAMPION and version is None:
            version = release.stable
    if version is None:
        raise FairleadError(
            Code.NOT_FOUND, f"no version of {model!r} is meant by {reference!r}", hint=f"fairlead versions {model}"
        )
    return ServableId(model, version)


def _trusted(settings: Settings) -> TrustedKeys | None:
    """The keys that must have signed a version; None where it needs no signature."""
    if not settings.trusted_keys:
        return None
    trusted = TrustedKeys([Path(place) for place in settings.trusted_keys])
    trusted.keys()  # what is wrong with them is told before anything depends on it
    return trusted


def promote(settings: Settings, id_: ServableId, why: str, label: str | None, warn: Callable[[str], None]) -> Release:
    """Release the version, then let the registry follow."""
    store = open_writable_store(settings)
    release = store.promote(id_, why=why, label=label)
    follow(settings, store, id_.model, warn)
    return release


def rollback(settings: Settings, model: str, why: str, to: int | None, warn: Callable[[str], None]) -> Rollback:
    """Go back, then let the registry follow. The store alone is enough: whatever the registry says comes after."""
    store = open_writable_store(settings)
    done = store.rollback(model, why=why, to=to)
    follow(settings, store, model, warn)
    return done


def open_registry(settings: Settings) -> Registry:
    """MLflow, at its tracking URI or in the home.

    Raises:
        FairleadError: FAILED_PRECONDITION without the train extra, UNAVAILABLE when it does not answer.
    """
    from fairlead.training.registry import Registry  # noqa: PLC0415 - a second to import

    root = None if settings.tracking_uri else settings.home / "artifacts"
    return Registry(settings.registry_uri, root)


def follow(settings: Settings, store: Store, model: str, warn: Callable[[str], None]) -> None:
    """Mirror the release where there is a registry to mirror it in: the base install has none."""
    embedded = settings.home / "mlflow.db"
    if importlib.util.find_spec("mlflow") is None or not (settings.tracking_uri or embedded.exists()):
        return
    from fairlead.controller.mirror import mirror  # noqa: PLC0415 - with MLflow behind it

    try:
        mirror(open_registry(settings), store, model)
    except FairleadError as error:  # whatever it is: the release is in force, and that is what was asked for
        warn(f"the release is in force, but the registry could not follow: {error.message}")
