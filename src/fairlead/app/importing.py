"""A file of a model that was made elsewhere, looked at and taken into the store."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from fairlead.app.intake import Bring, Intake, Offer, take_in
from fairlead.app.models import model_conditions
from fairlead.config import Settings
from fairlead.conversion.mlflow_model import MLMODEL_FILE, PYFUNC_FLAVOR, MlflowModel, read_mlflow_model
from fairlead.conversion.pyfunc import ask_model
from fairlead.conversion.saved_model import SAVED_MODEL_FILE, convert
from fairlead.errors import Code, FairleadError
from fairlead.servable.disposable import Limits
from fairlead.servable.golden import Golden
from fairlead.servable.pyfunc.layout import ALLOW
from fairlead.servable.pyfunc.process import ModelProcess
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.servable.runtimes.onnx_file import check_onnx_file, external_files
from fairlead.store import files
from fairlead.store.contents import check_contents

__all__ = ["import_model"]

_MOST_BYTES = 2**31
"""What an ONNX file can be: protobuf has no larger messages."""


def import_model(
    settings: Settings,
    path: Path,
    name: str,
    *,
    labels: tuple[str, ...] = (),
    sample: Path | None = None,
    limits: Limits,
) -> Intake:
    """Publish what is at `path` as the next version of `name`; the first of that name is released.

    Args:
        settings: where the store is, and where there is room to work.
        path: an ONNX file, with the values that it has in others beside it; the directory of a SavedModel, which is
            written as ONNX first and held to what TensorFlow answers; or a model directory of MLflow's: with either, or
            with any other model where Python is allowed.
        name: the model.
        labels: names of its classes; those of the version that serves, where none are given.
        sample: rows to ask it at its first load, see `load_first`.
        limits: what it may take then.

    Raises:
        FairleadError: saying why it is not taken; nothing of it is left then.
    """
    if (path / MLMODEL_FILE).is_file():
        model = read_mlflow_model(path)
        if model.plain is None:
            return take_in(settings, name, _python_model(settings, model, labels, sample, limits), limits)
        path = model.plain[1]
    if (path / SAVED_MODEL_FILE).is_file():
        return take_in(settings, name, _saved_model(path, labels, sample, limits), limits)
    _check_file(path)
    check_onnx_file(path, may_be_custom=bool(settings.operator_libraries))
    return take_in(settings, name, _onnx_file(path, labels, sample), limits)


def _python_model(
    settings: Settings, model: MlflowModel, labels: tuple[str, ...], sample: Path | None, limits: Limits
) -> Bring:
    """A model directory of MLflow's that has to be run.

    Raises:
        FairleadError: FAILED_PRECONDITION when that is not allowed, UNIMPLEMENTED when nothing says how.
    """
    flavors = sorted(model.flavors)
    if PYFUNC_FLAVOR not in flavors:
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"{model.directory} has the flavours {', '.join(flavors)}: none is an ONNX file, a SavedModel or Python",
            hint="publish the trained object instead, see docs/publish.md",
        )
    if settings.python_models != "on":
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{model.directory} has the flavours {', '.join(flavors)}, which only Python can load, and it may not",
            hint=ALLOW,
        )
    check_contents(model.directory, may_be_code=True)
    conditions = replace(
        model_conditions(settings), memory_bytes=limits.memory_bytes, start_s=limits.time_s, run_s=limits.time_s
    )

    def bring(directory: Path) -> Offer:
        with closing(ModelProcess(model.directory, conditions)) as process:
            asked = ask_model(model, process, sample)
        asked.layout.lay_down(model.directory, directory)
        digest = files.digest_file(model.directory / MLMODEL_FILE)
        return Offer(
            lineage={"imported": {"mlflow_model": model.directory.name, "flavors": flavors, "sha256": digest}},
            labels=labels,
            original="the model as it came",
            proof=asked.proof,
            python=conditions,
            warnings=tuple(f"the model asks for {difference}" for difference in process.differs),
        )

    return bring


def _onnx_file(path: Path, labels: tuple[str, ...], sample: Path | None) -> Bring:

    def bring(directory: Path) -> Offer:
        lineage = {"imported": {"file": path.name, "sha256": _copy(path, directory)}}
        return Offer(lineage=lineage, labels=labels, sample=sample)

    return bring


def _saved_model(path: Path, labels: tuple[str, ...], sample: Path | None, limits: Limits) -> Bring:
    check_contents(path)

    def bring(directory: Path) -> Offer:
        proof = directory.with_suffix(".proof.npz")
        convert(path, directory / MODEL_FILE, proof, limits, sample)
        return Offer(
            lineage={"imported": {"saved_model": path.name, "sha256": files.digest_file(path / SAVED_MODEL_FILE)}},
            labels=labels,
            original="TensorFlow",
            proof=Golden.load(proof),
        )

    return bring


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except OSError as error:
        raise FairleadError(Code.NOT_FOUND, f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        what = "a directory" if path.is_dir() else "no regular file"
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{path} is {what}: an import is of an ONNX file, a SavedModel or a model of MLflow's",
        )
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
