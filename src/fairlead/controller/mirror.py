"""Makes the registry say what the model store says: the store decides, the registry is its mirror."""

from __future__ import annotations

from fairlead.servable.identity import ServableId
from fairlead.store.store import Store
from fairlead.training.registry import CHALLENGER, CHAMPION, Registry

__all__ = ["mirror"]


def mirror(registry: Registry, store: Store, model: str) -> None:
    """Register every published version of `model`, and let its aliases follow the release.

    `champion` is the stable version; `challenger` the newest version above it, if there is one. Doing it again changes
    nothing, so whoever finds the registry behind (a killed publisher, a rollback while it was down) mends it by this.

    Raises:
        FairleadError: UNAVAILABLE when the registry does not answer.
    """
    registered = {version.store_version for version in registry.versions(model)}
    for version in store.versions(model):
        if version not in registered:
            manifest = store.manifest(ServableId(model, version))
            source = (store.root / model / str(version)).resolve().as_uri()
            registry.register(model, version, str(manifest.lineage.get("run_id", "")), source)
    release = store.release(model)
    if release is None:
        return
    wanted = {CHAMPION: release.stable}
    newer = [version for version in store.versions(model) if version > release.stable]
    if newer:
        wanted[CHALLENGER] = newer[-1]
    for alias, version in wanted.items():
        if registry.alias(model, alias) != version:
            registry.set_alias(model, alias, version)
