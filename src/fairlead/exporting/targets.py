"""The systems that `fairlead export` writes for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fairlead.exporting.target import Target
from fairlead.exporting.tflite import write_tflite

__all__ = ["TARGETS"]

_ALL = (Target(name="tflite", suffix=".tflite", write=write_tflite),)
TARGETS: Final[Mapping[str, Target]] = MappingProxyType({target.name: target for target in _ALL})
"""By name."""
