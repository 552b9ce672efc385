"""What the Open Inference Protocol says of the server, of a model, and of all models."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import TensorSpec
from fairlead.serving.status import State, VersionStatus
from fairlead.transport.v2.datatype import DATATYPES

__all__ = ["index_entry", "model_page", "server_page"]

EXTENSIONS = ("binary_tensor_data", "classification")
"""What is offered beyond the protocol itself. Clients may rely on a name here, so each is offered in full."""

_PLATFORMS = {"onnx": "onnxruntime_onnx", "tensorflow": "tensorflow_savedmodel"}
_INDEX_STATES = {
    State.AVAILABLE: "READY",
    State.LOADING: "LOADING",
    State.UNLOADING: "UNLOADING",
    State.START: "UNAVAILABLE",
    State.END: "UNAVAILABLE",
}
_REASONS = {State.START: "not loaded yet", State.END: "unloaded"}


def server_page() -> dict[str, Any]:
    """Who answers."""
    return {"name": "fairlead", "version": _version(), "extensions": EXTENSIONS}


def model_page(manifest: Manifest, versions: Iterable[int]) -> dict[str, Any]:
    """What a model takes and gives; `versions` are those that answer."""
    return {
        "name": manifest.model,
        "versions": [str(version) for version in sorted(versions)],
        "platform": _PLATFORMS.get(manifest.runtime, manifest.runtime),
        "inputs": [_tensor(spec) for spec in manifest.signature.inputs],
        "outputs": [_tensor(spec) for spec in manifest.signature.outputs],
    }


def index_entry(status: VersionStatus) -> dict[str, Any]:
    """A version in the repository's index; a reason is there when it needs one."""
    entry = {"name": status.id.model, "version": str(status.id.version), "state": _INDEX_STATES[status.state]}
    reason = status.message or _REASONS.get(status.state, "")
    return entry | ({"reason": reason} if reason else {})


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": DATATYPES[spec.dtype], "shape": (-1,) if spec.is_unranked else spec.shape}


@functools.cache
def _version() -> str:
    return metadata.version("fairlead")
