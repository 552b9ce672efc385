"""A model that was made elsewhere, taken into the store: looked at, loaded once in a process of its own, published."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fairlead.app.releases import now, open_writable_store
from fairlead.config import Settings
from fairlead.controller.workspace import workspace
from fairlead.errors import Code, FairleadError
from fairlead.gate.checks import check_import
from fairlead.gate.verdict import Report, Verdict
from fairlead.servable.first_load import Limits, load_first
from fairlead.servable.identity import ServableId, check_model_name
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.servable.runtimes.onnx_file import check_onnx_file, external_files
from fairlead.store import files
from fairlead.store.contents import check_contents
from fairlead.store.release import Release
from fairlead.store.writable_store import WritableStore

__all__ = ["Imported", "import_model"]

_MOST_BYTES = 2**31
"""What an ONNX file can be: protobuf has no larger messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import came to.

    Attributes:
        report: what the gate says of it.
        version: what was published; None when the gate refused it.
        release: what is in force.
    """

    report: Report
    version: ServableId | None
    release: Release | None


def import_model(
    settings: Settings,
    path: Path,
    name: str,
    *,
    labels: tuple[str, ...] = (),
    sample: Path | None = None,
    limits: Limits,
) -> Imported:
    """Publish the ONNX file at `path` as the next version of `name`; the first of that name is released.

    Args:
        settings: where the store is, and where there is room to work.
        path: the file; values that it has in others are beside it.
        name: the model.
        labels: names of its classes; those of the version that serves, where none are given.
        sample: rows to ask it at its first load, see `load_first`.
        limits: what it may take then.

    Raises:
        FairleadError: saying why the file is not taken; nothing of it is left then.
    """
    check_model_name(name)
    _check_file(path)
    libraries = [Path(library) for library in settings.operator_libraries]
    check_onnx_file(path, may_be_custom=bool(libraries))
    store = open_writable_store(settings)
    with files.storage_errors(f"importing {path}"), workspace(settings.home / "work") as work:
        digest = _copy(path, work)
        check_contents(work)
        signature, cost = load_first(work, limits, sample, libraries)
        draft = Manifest(
            model=name,
            version=0,
            runtime="onnx",
            signature=signature,
            labels=labels,
            files={},
            created_at=now(),
            lineage={"imported": {"file": path.name, "sha256": digest}},
            cost=cost,
        )
        champion = _champion(store, name)
        if champion is not None:
            draft = replace(draft, labels=labels or champion.labels, transform=champion.transform)
        report = check_import(draft, champion, cost)
        if report.verdict is Verdict.FAILED:
            return Imported(report=report, version=None, release=store.release(name))
        return _publish(store, work, replace(draft, gate=report.to_json()), report)


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except OSError as error:
        raise FairleadError(Code.NOT_FOUND, f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        what = "a directory" if path.is_dir() else "no regular file"
        raise FairleadError(Code.INVALID_ARGUMENT, f"{path} is {what}: an import is of one ONNX file")
    if found.st_size > _MOST_BYTES:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{path} has {found.st_size:,} bytes, more than an ONNX file can")
    if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{path} is an archive, and nothing is unpacked here",
            hint="unpack it with a tool that you trust, and import the ONNX file",
        )


def _copy(path: Path, work: Path) -> str:
    """Bring the model and the files with its values into `work`; the SHA-256 of the model."""
    digest = files.copy_file(path, work / MODEL_FILE)
    for location in external_files(work / MODEL_FILE):
        if Path(location).name != location:
            raise FairleadError(
                Code.FAILED_PRECONDITION, f"{path.name} has values in {location!r}, which is not beside it"
            )
        files.copy_file(path.parent / location, work / location)
    return digest


def _champion(store: WritableStore, name: str) -> Manifest | None:
    release = store.release(name)
    return store.manifest(ServableId(name, release.stable)) if release else None


def _publish(store: WritableStore, work: Path, draft: Manifest, report: Report) -> Imported:
    def describe(version: int, digests: Mapping[str, str]) -> Manifest:
        return replace(draft, version=version, files=digests)

    sources = {path.name: path for path in sorted(work.iterdir())}
    id_ = store.publish(draft.model, sources, describe).manifest.id
    release = store.release(draft.model)
    if release is None:
        release = store.promote(id_, why="the first version, which was imported", expected=0)
    return Imported(report=report, version=id_, release=release)
