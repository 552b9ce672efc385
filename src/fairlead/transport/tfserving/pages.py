"""A model's status and metadata as TensorFlow Serving's JSON shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.serving.status import VersionStatus

__all__ = ["INIT_OP", "metadata_page", "status_page"]

INIT_OP = "__saved_model_init_op"
"""What a SavedModel of TensorFlow 2 calls the signature that nobody can call."""

_DT_NAMES = {"float16": "DT_HALF", "float32": "DT_FLOAT", "float64": "DT_DOUBLE"}


def status_page(statuses: Iterable[VersionStatus]) -> dict[str, Any]:
    """What every version is doing; 64-bit numbers are strings, as proto3 JSON has them."""
    return {
        "model_version_status": [
            {
                "version": str(status.id.version),
                "state": status.state.value,
                "status": {"error_code": status.code.value if status.code else "OK", "error_message": status.message},
            }
            for status in statuses
        ]
    }


def metadata_page(manifest: Manifest) -> dict[str, Any]:
    """Every signature of the version."""
    signatures = {name: _signature(signature) for name, signature in manifest.named_signatures.items()}
    if manifest.init_op:
        signatures[INIT_OP] = _init_signature(manifest.init_op)
    return {
        "model_spec": {"name": manifest.model, "signature_name": "", "version": str(manifest.version)},
        "metadata": {"signature_def": {"signature_def": signatures}},
    }


def _signature(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {spec.name: _tensor_info(spec) for spec in signature.inputs},
        "outputs": {spec.name: _tensor_info(spec) for spec in signature.outputs},
        "method_name": signature.method,
        "defaults": {},
    }


def _init_signature(operation: str) -> dict[str, Any]:
    """What every SavedModel of TensorFlow 2 has: a signature that nobody can call."""
    output = {"dtype": "DT_INVALID", "tensor_shape": {"dim": [], "unknown_rank": True}, "name": operation}
    return {"inputs": {}, "outputs": {INIT_OP: output}, "method_name": "", "defaults": {}}


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    return {
        "dtype": _DT_NAMES.get(spec.dtype, f"DT_{spec.dtype.upper()}"),
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in spec.shape],
            "unknown_rank": spec.is_unranked,
        },
        "name": spec.node or f"{spec.name}:0",
    }
