"""ONNX: one file that any runtime of it loads, which says whose it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.exporting.target import Source, proven
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.servable.text_transform import text_transform
from fairlead.training.extras import needs_extras

__all__ = ["INSTALL", "answers_of_onnx", "load_onnx", "write_onnx"]

INSTALL = "pip install 'fairlead[control,optimize]'"


def write_onnx(source: Source, target: Path) -> float:
    """Write the version as one ONNX file, and ask it in ONNX Runtime; see `Target.write`.

    Raises:
        FairleadError: what `load_onnx` raises; FAILED_PRECONDITION when the file alone answers something else.
    """
    target.write_bytes(load_onnx(source).SerializeToString())
    return proven(source, answers_of_onnx(target, source), "the ONNX file")


def load_onnx(source: Source) -> Any:
    """The version's model with all its values in it, its name, version and classes in the metadata.

    Raises:
        FairleadError: FAILED_PRECONDITION without the `onnx` library, RESOURCE_EXHAUSTED beyond 2 GB, UNIMPLEMENTED
            for a model whose texts a server has to make plain first.
    """
    with needs_extras("writing ONNX", INSTALL):
        import onnx  # noqa: PLC0415 - part of an extra
    model = onnx.load(str(source.directory / MODEL_FILE))
    if model.ByteSize() >= onnx.checker.MAXIMUM_PROTOBUF:
        raise FairleadError(Code.RESOURCE_EXHAUSTED, f"{source.manifest.id} is larger than an ONNX file can be")
    kept = {entry.key: entry.value for entry in model.metadata_props}
    if text_transform(kept) is not None:
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"{source.manifest.id} takes texts that the server makes plain first, which other systems do not",
            hint="train it on texts in lower case, with lowercase=False, and let callers send such texts",
        )
    told = {"model": source.manifest.model, "version": str(source.manifest.version)}
    if source.manifest.labels:
        told["labels"] = json.dumps(source.manifest.labels, ensure_ascii=False)
    onnx.helper.set_model_props(model, kept | told)
    return model


def answers_of_onnx(path: Path, source: Source) -> dict[str, Any]:
    """What the file at `path` answers to the golden rows, in ONNX Runtime alone."""
    import onnxruntime  # noqa: PLC0415 - for who exports

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [spec.name for spec in source.manifest.signature.outputs]
    inputs = {
        name: array.astype(object) if array.dtype.kind == "U" else array for name, array in source.golden.inputs.items()
    }
    return dict(zip(names, session.run(names, inputs), strict=True))
