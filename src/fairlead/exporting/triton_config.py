"""What Triton's `config.pbtxt` says of a version: its tensors, whether requests may share a batch, and its classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import TensorSpec

__all__ = ["LABELS_FILE", "label_lines", "triton_config"]

LABELS_FILE = "labels.txt"
_MAX_ROWS: Final = 1024
"""The largest batch, and so the largest request, that Triton takes."""
_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {"bool": "TYPE_BOOL", "string": "TYPE_STRING"}
    | {f"float{bits}": f"TYPE_FP{bits}" for bits in (16, 32, 64)}
    | {f"{sign}int{bits}": f"TYPE_{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)}
)


def triton_config(manifest: Manifest, backend: str) -> str:
    """The text of the file.

    Requests are the same as those to Fairlead. Rows are batched where each is a tensor of its own; Triton has no tensor
    without an axis, so where a row is a single number or text, all rows are one tensor and requests stay apart.

    Args:
        manifest: the version's.
        backend: which of Triton's is to run it.

    Raises:
        FairleadError: UNIMPLEMENTED for a tensor without an axis, or of an unknown number of them.
    """
    inputs, outputs = manifest.signature.inputs, manifest.signature.outputs
    for spec in (*inputs, *outputs):
        if spec.is_unranked or not spec.shape:
            raise FairleadError(
                Code.UNIMPLEMENTED,
                f"{spec.name!r} of {manifest.id} has no axis, or an unknown number of them, which Triton cannot have",
            )
    has_batch = all(spec.shape[0] == -1 and len(spec.shape) > 1 for spec in (*inputs, *outputs))
    scores = outputs[0].name if label_lines(manifest) and outputs[0].shape[-1] == len(manifest.labels) else ""
    lines = [
        f"# {manifest.id}, written by Fairlead.",
        f"name: {json.dumps(manifest.model)}",
        f"backend: {json.dumps(backend)}",
        f"max_batch_size: {_MAX_ROWS if has_batch else 0}",
        *(_tensor("input", spec, has_batch=has_batch) for spec in inputs),
        *(_tensor("output", spec, has_batch=has_batch, has_labels=spec.name == scores) for spec in outputs),
        *(["dynamic_batching { }"] if has_batch else []),
        "version_policy: { all { } }",
    ]
    return "\n".join(lines) + "\n"


def label_lines(manifest: Manifest) -> str:
    """The classes, one a line; nothing where there are none."""
    return "".join(f"{' '.join(label.splitlines())}\n" for label in manifest.labels)


def _tensor(kind: str, spec: TensorSpec, *, has_batch: bool, has_labels: bool = False) -> str:
    name = json.dumps(spec.name, ensure_ascii=False)
    dims = ", ".join(str(size) for size in spec.shape[has_batch:])
    labels = f', label_filename: "{LABELS_FILE}"' if has_labels else ""
    return f"{kind} [ {{ name: {name}, data_type: {_TYPES[spec.dtype]}, dims: [ {dims} ]{labels} }} ]"
