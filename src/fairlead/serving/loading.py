"""How a published version becomes one that answers."""

from __future__ import annotations

from collections.abc import Mapping

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Loader, Servable
from fairlead.store.store import Store

__all__ = ["VersionLoader"]


class VersionLoader:
    """From an id to a proven servable: verify the digests, load, warm, reproduce the golden outputs.

    Args:
        store: where versions are.
        loaders: by the manifest's runtime.
    """

    def __init__(self, store: Store, loaders: Mapping[str, Loader]) -> None:
        self._store = store
        self._loaders = loaders

    def load(self, id_: ServableId) -> tuple[Servable, Manifest]:
        """Raises FairleadError when any of the stages fails; nothing stays loaded then."""
        version = self._store.open(id_)
        manifest = version.manifest
        if manifest.runtime not in self._loaders:
            known = ", ".join(sorted(self._loaders))
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"{id_} needs the runtime {manifest.runtime!r}; this process has {known}"
            )
        if GOLDEN_FILE not in manifest.files:
            raise FairleadError(Code.FAILED_PRECONDITION, f"{id_} has no {GOLDEN_FILE} to prove itself with")
        golden = Golden.load(version.directory / GOLDEN_FILE)
        servable = self._loaders[manifest.runtime].load(version.directory, manifest)
        try:
            golden.prove(servable)
        except BaseException:
            servable.close()
            raise
        return servable, manifest
