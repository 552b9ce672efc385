"""The slow way through JSON values: one by one, to say what is wrong with them in TensorFlow Serving's words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

from fairlead.errors import FairleadError
from fairlead.servable.column import Column
from fairlead.servable.json_array import LEAF_TYPES, make_array
from fairlead.servable.signature import Array, Signature, TensorSpec
from fairlead.transport.invalid import invalid
from fairlead.transport.json_document import echo

__all__ = ["decode_base64", "is_base64", "json_type", "walk_named_rows", "walk_rows", "walk_tensor"]

_MAX_RANK = 64  # numpy's own
_JSON_TYPES = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number", type(None): "Null"}
_TYPE_NAMES = {"float32": "float", "float64": "double", "float16": "half"}

Shape = tuple[int, ...]


def decode_base64(encoded: str) -> bytes:
    """The bytes that `encoded` stands for. The padding may be missing, as in TensorFlow Serving.

    Raises:
        FairleadError: INVALID_ARGUMENT.
    """
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("Unable to base64 decode") from error


def json_type(value: Any) -> str:
    """RapidJSON's name for the type of `value`."""
    return str(value) if isinstance(value, bool) else _JSON_TYPES[type(value)]


def is_base64(value: Any) -> bool:
    """Whether `value` is `{"b64": "..."}`, which stands for bytes and not for an object."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def walk_rows(spec: TensorSpec, rows: list[Any]) -> Array:
    """The tensor of a one-input model from plain rows."""
    for index, row in enumerate(rows):
        if isinstance(row, dict) and not is_base64(row):
            raise invalid(f"Expecting value/list but got object at item {index} of input list")
    return _stack(spec, rows, place="element: {}")


def walk_named_rows(signature: Signature, rows: list[Any]) -> dict[str, Array]:
    """The tensors from rows that are objects, each with exactly the signature's names."""
    specs = {spec.name: spec for spec in signature.inputs}
    for index, row in enumerate(rows):
        _check_names(row, index, specs)
    return {
        name: _stack(spec, [row[name] for row in rows], place=f"element: {{}} key: {name}")
        for name, spec in specs.items()
    }


def walk_tensor(spec: TensorSpec, value: Any) -> Array:
    """The whole tensor in `value`."""
    shape = _shape(value)
    leaves: list[Any] = []
    _collect(spec, value, 0, shape, leaves)
    return make_array(spec, leaves, shape)


def _check_names(row: Any, index: int, specs: Mapping[str, TensorSpec]) -> None:
    if not isinstance(row, dict):
        raise invalid(f"Expecting object but got list at item {index} of input list")
    for name in row:
        if name not in specs:
            raise invalid(
                f"Failed to process element: {index} key: {name} of 'instances' list. "
                f"Error: INVALID_ARGUMENT: JSON object: does not have named input: {name}"
            )
    lacking = [name for name, spec in specs.items() if name not in row and spec.column is not None]
    if lacking:
        raise invalid(f"row {index} of 'instances' lacks {_columns(lacking)}; null stands for a missing value")
    if row.keys() != specs.keys():
        raise invalid(
            f"Failed to process element: {index} of 'instances' list. "
            f"JSON object: {echo(row)} keys must be equal to: {','.join(specs)}"
        )


def _stack(spec: TensorSpec, rows: list[Any], place: str) -> Array:
    """Walk each row and lay them on each other; `place` says where a fault is, given the row's number."""
    arrays: list[Array] = []
    for index, row in enumerate(rows):
        try:
            arrays.append(_missing(spec, index) if row is None and spec.column is not None else walk_tensor(spec, row))
            _check_alike(arrays[0], arrays[-1])
        except FairleadError as error:
            raise invalid(
                f"Failed to process {place.format(index)} of 'instances' list. Error: {error.code}: {error.message}"
            ) from error
    return np.stack(arrays)


def _missing(spec: TensorSpec, row: int) -> Array:
    """What stands for a column's value that is null."""
    column = spec.column or Column()
    return make_array(spec, [column.missing(spec.name, row, spec.dtype)], ())


def _columns(names: list[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"


def _check_alike(first: Array, array: Array) -> None:
    if first.size != array.size:
        raise invalid(f"Expecting tensor size: {first.size} but got: {array.size}")
    if first.shape != array.shape:
        raise invalid(f"Expecting shape {_brackets(first.shape)} but got: {_brackets(array.shape)}")


def _shape(value: Any) -> Shape:
    """The shape that the first elements suggest."""
    shape: list[int] = []
    while isinstance(value, list):
        if len(shape) == _MAX_RANK - 1:  # the batch needs one more
            raise invalid(f"JSON Value: {echo(value)} is nested more than {_MAX_RANK} lists deep")
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _collect(spec: TensorSpec, value: Any, level: int, shape: Shape, leaves: list[Any]) -> None:
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {echo(value)} found at incorrect level: {level + 1} in the JSON DOM. "
                f"Expected at level: {len(shape)}"
            )
        leaves.append(_leaf(spec, value))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    for item in value:
        _collect(spec, item, level + 1, shape, leaves)


def _leaf(spec: TensorSpec, value: Any) -> Any:
    if spec.dtype == "string" and is_base64(value):
        return _text(value["b64"])
    if type(value) not in LEAF_TYPES[spec.numpy_dtype.kind]:
        raise invalid(
            f"JSON Value: {echo(value)} Type: {json_type(value)} is not of expected type: "
            f"{_TYPE_NAMES.get(spec.dtype, spec.dtype)}"
        )
    if spec.numpy_dtype.kind in "iu":
        _check_range(spec, value)
    return value


def _check_range(spec: TensorSpec, value: int) -> None:
    bounds = np.iinfo(spec.numpy_dtype)
    if not bounds.min <= value <= bounds.max:
        raise invalid(f"JSON Value: {value} Type: Number is not of expected type: {spec.dtype}")


def _text(encoded: str) -> str | bytes:
    """What the base64 stands for, text where it is UTF-8."""
    data = decode_base64(encoded)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _brackets(shape: Shape) -> str:
    return f"[{','.join(map(str, shape))}]"
