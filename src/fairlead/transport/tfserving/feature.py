"""The named values of an example."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Example", "Feature", "Kind"]


class Kind(enum.StrEnum):
    """What a feature's values are, in TensorFlow's words."""

    BYTES = "string"
    FLOAT = "float"
    INT64 = "int64"


@dataclass(frozen=True, slots=True)
class Feature:
    """Values of one kind: bytes, floats, or integers of 64 bits. Without values the kind means nothing."""

    kind: Kind
    values: Sequence[Any]


Example = Mapping[str, Feature]
"""One row: its features by name."""
