"""Tensors as TensorFlow Serving's JSON writes them: rows (`instances`) or columns (`inputs`), and the answers.

Good bodies take a short way through C code. When anything is odd, `tfserving.walk` goes through the values one by one
and says what is wrong in TensorFlow Serving's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.json_array import quick_array
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.transport.json_document import echo
from fairlead.transport.tfserving.walk import (
    is_base64,
    walk_named_rows,
    walk_rows,
    walk_tensor,
)

__all__ = ["decode_inputs", "decode_instances", "decode_tensors"]


def decode_tensors(document: Mapping[str, Any], signature: Signature) -> Tensors:
    """The inputs that a parsed `:predict` body holds.

    Raises:
        FairleadError: INVALID_ARGUMENT, in TensorFlow Serving's words. Shapes are left to `Signature.check_inputs`.
    """
    if "instances" in document and "inputs" in document:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"JSON Value: {echo(document)} Not formatted correctly expecting only one of 'inputs' or 'instances' "
            "keys to exist ",
        )
    if "instances" in document:
        return decode_instances(document["instances"], signature)
    if "inputs" in document:
        return decode_inputs(document["inputs"], signature)
    raise FairleadError(Code.INVALID_ARGUMENT, "Missing 'inputs' or 'instances' key")


def decode_instances(rows: Any, signature: Signature) -> Tensors:
    """The inputs in row form: a list with one element a row."""
    if not isinstance(rows, list):
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"JSON Value: {echo(rows)} Expecting 'instances' to be an list/array"
        )
    if not rows:
        raise FairleadError(Code.INVALID_ARGUMENT, "JSON Value: [] No values in 'instances' array")
    if isinstance(rows[0], dict) and not is_base64(rows[0]):
        return _named_rows(rows, signature)
    if len(signature.inputs) > 1:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        )
    spec = signature.inputs[0]
    array = quick_array(spec, rows)
    return {spec.name: walk_rows(spec, rows) if array is None else array}


def decode_inputs(value: Any, signature: Signature) -> Tensors:
    """The inputs in column form: whole tensors, named when there are several.

    Names the model lacks are ignored, as TensorFlow Serving does, unless it takes the columns of a table.
    """
    if isinstance(value, dict) and not is_base64(value):
        names = [spec.name for spec in signature.inputs]
        for name in names:
            if name not in value:
                raise FairleadError(Code.INVALID_ARGUMENT, f"Missing named input: {name} in 'inputs' object.")
        unknown = [name for name in value if name not in names] if signature.has_columns else []
        if unknown:
            raise FairleadError(Code.INVALID_ARGUMENT, f"the model takes no column {unknown[0][:80]!r}")
        return {spec.name: _column(spec, value[spec.name]) for spec in signature.inputs}
    if len(signature.inputs) > 1:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map",
        )
    return {signature.inputs[0].name: _column(signature.inputs[0], value)}


def _column(spec: TensorSpec, value: Any) -> Array:
    array = quick_array(spec, value)
    if array is not None:
        return array
    try:
        return walk_tensor(spec, value)
    except FairleadError as error:
        if spec.column is None:
            raise
        raise FairleadError(error.code, f"column {spec.name!r}: {error.message}", hint=error.hint) from error


def _named_rows(rows: list[Any], signature: Signature) -> Tensors:
    names = {spec.name for spec in signature.inputs}
    if all(type(row) is dict and row.keys() == names for row in rows):
        arrays = {spec.name: quick_array(spec, [row[spec.name] for row in rows]) for spec in signature.inputs}
        quick = {name: array for name, array in arrays.items() if array is not None}
        if len(quick) == len(arrays):
            return quick
    return walk_named_rows(signature, rows)
