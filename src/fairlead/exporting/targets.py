"""The systems that `fairlead export` writes for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fairlead.exporting.kserve import write_kserve
from fairlead.exporting.mlflow import write_mlflow
from fairlead.exporting.onnx_file import write_onnx
from fairlead.exporting.saved_model import write_saved_model
from fairlead.exporting.target import Target
from fairlead.exporting.tflite import write_tflite
from fairlead.exporting.triton import write_triton

__all__ = ["TARGETS"]

_ALL = (
    Target(name="kserve", suffix="", write=write_kserve),
    Target(name="mlflow", suffix="", write=write_mlflow),
    Target(name="onnx", suffix=".onnx", write=write_onnx),
    Target(name="tflite", suffix=".tflite", write=write_tflite),
    Target(name="tfserving", suffix="", write=write_saved_model),
    Target(name="triton", suffix="", write=write_triton),
)
TARGETS: Final[Mapping[str, Target]] = MappingProxyType({target.name: target for target in _ALL})
"""By name."""
