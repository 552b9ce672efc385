"""What `fairlead export` runs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from fairlead.app.releases import find_version, open_store
from fairlead.config import Settings
from fairlead.controller.workspace import workspace
from fairlead.errors import Code, FairleadError
from fairlead.exporting.target import Source, Target
from fairlead.optimization.preparing import prepare
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.store import files

__all__ = ["Export", "export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was written.

    Attributes:
        version: of what.
        path: where.
        rows: how many golden rows it was asked.
        difference: how far its answers are from the version's at most.
    """

    version: ServableId
    path: Path
    rows: int
    difference: float


def export(settings: Settings, reference: str, target: Target, path: Path | None, *, storage_uri: str = "") -> Export:
    """Write the version that `reference` means for a system; nothing is left of one that does not prove itself.

    Args:
        settings: where the store is, and where there is room to work.
        reference: see `find_version`.
        target: the system.
        path: where to; None for a name of the version's in the present directory.
        storage_uri: see `Source`.

    Raises:
        FairleadError: ALREADY_EXISTS when something is there, UNIMPLEMENTED for what is no ONNX file, and what
            `Target.write` raises.
    """
    store = open_store(settings)
    version = store.open(find_version(store, reference))
    id_ = version.manifest.id
    path = path or Path(f"{id_.model}-{id_.version}{target.suffix}")
    if path.exists():
        raise FairleadError(Code.ALREADY_EXISTS, f"{path} is there already", hint="name another --output")
    if version.manifest.runtime != "onnx":
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"{id_} runs on {version.manifest.runtime}; only ONNX files are exported",
            hint="of a graph, export the versions that it is made of",
        )
    golden = Golden.load(version.directory / GOLDEN_FILE)
    with files.storage_errors(f"exporting {id_} to {path}"), workspace(settings.home / "work") as work:

        def prepared() -> Path:
            prepare(version.directory / MODEL_FILE, work / MODEL_FILE)
            return work / MODEL_FILE

        made = work / f"export{target.suffix}"
        source = Source(
            manifest=version.manifest,
            directory=version.directory,
            golden=golden,
            prepare=prepared,
            storage_uri=storage_uri,
        )
        difference = target.write(source, made)
        shutil.move(made, path)
    return Export(version=id_, path=path, rows=golden.rows, difference=difference)
