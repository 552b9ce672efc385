"""Arrays by name in an `.npz`, texts among them: numpy keeps those only as its own kind of string, or in a pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from fairlead.servable.json_array import text_of
from fairlead.servable.signature import Array

__all__ = ["read_npz", "write_npz"]


def write_npz(file: Path | IO[bytes], arrays: Mapping[str, Any], *, is_compressed: bool = False) -> None:
    """Write arrays, or a row's scalars, by name. A text loses the zero characters at its end.

    Raises:
        ValueError: for objects that are no texts.
    """
    save = np.savez_compressed if is_compressed else np.savez
    save(file, allow_pickle=False, **{name: _storable(value) for name, value in arrays.items()})


def read_npz(file: Path | IO[bytes]) -> dict[str, Array]:
    """The arrays by name, texts as tensors of strings have them (object, of str). Nothing is ever unpickled.

    Raises:
        Exception: of a dozen kinds from zipfile, zlib and numpy's header reader, for a damaged file.
    """
    with np.load(file, allow_pickle=False) as arrays:
        return {name: _tensor(arrays[name]) for name in arrays.files}


def _storable(value: Any) -> Array:
    array = np.asarray(value, object if isinstance(value, str | bytes) else None)
    if array.dtype.kind != "O":
        return array
    if not all(isinstance(item, str | bytes) for item in array.flat):
        raise ValueError("the array holds objects that are no texts")
    return np.array([text_of(item) for item in array.flat], np.str_).reshape(array.shape)


def _tensor(array: Array) -> Array:
    return array.astype(object) if array.dtype.kind == "U" else array
