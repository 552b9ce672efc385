"""A trained object as an ONNX file, with what its columns may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead.conversion.choosing import original_of
from fairlead.servable.column import set_columns

__all__ = ["write_onnx"]


def write_onnx(model: Any, sample: Any, path: Path) -> None:
    """Write the trained object `model` as ONNX, as a recipe's `export` has to.

    Args:
        model: of a framework that `fairlead.publish` knows.
        sample: rows as the object takes them. The types of a table's columns and their categories go into the file.
        path: where to.

    Raises:
        FairleadError: as `original_of` and the adapter's `export`.
    """
    original = original_of(model, sample)
    original.export(path)
    if original.columns:
        set_columns(path, original.columns)
