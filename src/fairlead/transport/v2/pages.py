"""What the Open Inference Protocol says of the server, of a model, and of all models."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import orjson

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import TensorSpec
from fairlead.transport.v2.datatype import BYTES, DATATYPES

__all__ = ["CLASSES", "config_page", "model_page", "server_page"]

EXTENSIONS = ("binary_tensor_data", "classification", "model_configuration", "statistics")
"""What is offered beyond the protocol itself. Clients may rely on a name here, so each is offered in full."""

CLASSES = "classes"
"""The property of a model that has the names of its classes."""

_PLATFORMS = {"onnx": "onnxruntime_onnx", "tensorflow": "tensorflow_savedmodel"}


def server_page(*, has_control: bool) -> dict[str, Any]:
    """Who answers; the repository's index is there in any case, loading and unloading only with control."""
    extensions = (*EXTENSIONS, "model_repository") if has_control else EXTENSIONS
    return {"name": "fairlead", "version": _version(), "extensions": extensions}


def model_page(manifest: Manifest, versions: Iterable[int]) -> dict[str, Any]:
    """What a model takes and gives; `versions` are those that answer. A property has its classes, as JSON."""
    classes = orjson.dumps(manifest.labels).decode()
    return {
        "name": manifest.model,
        "versions": [str(version) for version in sorted(versions)],
        "platform": _PLATFORMS.get(manifest.runtime, manifest.runtime),
        "inputs": [_tensor(spec) for spec in manifest.signature.inputs],
        "outputs": [_tensor(spec) for spec in manifest.signature.outputs],
        **({"properties": {CLASSES: classes}} if manifest.labels else {}),
    }


def config_page(manifest: Manifest, max_rows: int) -> dict[str, Any]:
    """The model's configuration as Triton has it, in which the batch is no axis of a tensor."""
    specs = (*manifest.signature.inputs, *manifest.signature.outputs)
    has_batch = all(spec.shape[:1] == (-1,) for spec in specs)
    return {
        "name": manifest.model,
        "platform": _PLATFORMS.get(manifest.runtime, manifest.runtime),
        "backend": manifest.runtime,
        "max_batch_size": max_rows if has_batch else 0,
        "input": [_config(spec, has_batch=has_batch) for spec in manifest.signature.inputs],
        "output": [_config(spec, has_batch=has_batch) for spec in manifest.signature.outputs],
    }


def _config(spec: TensorSpec, *, has_batch: bool) -> dict[str, Any]:
    datatype = DATATYPES[spec.dtype]
    return {
        "name": spec.name,
        "data_type": "TYPE_STRING" if datatype == BYTES else f"TYPE_{datatype}",
        "dims": spec.shape[has_batch:],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": (-1,) if spec.is_unranked else spec.shape}


@functools.cache
def _version() -> str:
    return metadata.version("fairlead")
