"""A model's status and metadata as TensorFlow Serving's JSON shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import TensorSpec
from fairlead.serving.status import VersionStatus

__all__ = ["metadata_page", "status_page"]

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
    """The version's signature. Its only one is `serving_default`."""
    signature = {
        "inputs": {spec.name: _tensor_info(spec) for spec in manifest.signature.inputs},
        "outputs": {spec.name: _tensor_info(spec) for spec in manifest.signature.outputs},
        "method_name": "tensorflow/serving/predict",
        "defaults": {},
    }
    return {
        "model_spec": {"name": manifest.model, "signature_name": "", "version": str(manifest.version)},
        "metadata": {"signature_def": {"signature_def": {"serving_default": signature}}},
    }


def _tensor_info(spec: TensorSpec) -> dict[str, Any]:
    return {
        "dtype": _DT_NAMES.get(spec.dtype, f"DT_{spec.dtype.upper()}"),
        "tensor_shape": {"dim": [{"size": str(size), "name": ""} for size in spec.shape], "unknown_rank": False},
        "name": f"{spec.name}:0",
    }
