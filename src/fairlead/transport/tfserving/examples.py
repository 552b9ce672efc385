"""Examples, each one row as named features, and the inputs that they are to a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.transport.invalid import invalid
from fairlead.transport.tfserving.example_wire import encode_example
from fairlead.transport.tfserving.feature import Example, Feature, Kind

__all__ = ["decode_examples", "takes_serialized", "with_context"]

_KINDS = {"f": (Kind.FLOAT, Kind.INT64), "i": (Kind.INT64,), "u": (Kind.INT64,), "b": (Kind.INT64,), "O": (Kind.BYTES,)}
"""By the kind of a numpy dtype, the features that it is made of; whole numbers are floats too, as in a prediction."""


def with_context(examples: Sequence[Example], context: Example) -> list[Example]:
    """Each example with the features of `context` that it does not have itself."""
    return [{**context, **example} for example in examples]


def takes_serialized(signature: Signature) -> bool:
    """Whether the signature is one that was made for examples: its only input takes them serialized."""
    (first, *others) = signature.inputs
    is_row = first.is_unranked or first.shape == (-1,)
    return not others and is_row and (first.name, first.dtype) == ("inputs", "string")


def decode_examples(examples: Sequence[Example], signature: Signature) -> Tensors:
    """The inputs that `examples` are, one row each.

    A signature that takes serialized examples gets them as they are. Any other gets, for each input, the feature of its
    name in the input's shape; features that it has no input for are left aside.

    Args:
        examples: at least one.
        signature: of which every input has a batch.

    Raises:
        FairleadError: INVALID_ARGUMENT when a feature is missing, of another kind or of another size.
    """
    if not examples:
        raise invalid("Input is empty.")
    if takes_serialized(signature):
        serialized = np.empty(len(examples), object)
        serialized[:] = [encode_example(example) for example in examples]
        return {"inputs": serialized}
    return {spec.name: _tensor(spec, examples) for spec in signature.inputs}


def _tensor(spec: TensorSpec, examples: Sequence[Example]) -> Array:
    features = [_feature(spec, index, example) for index, example in enumerate(examples)]
    shape = _row_shape(spec, len(features[0].values))
    for index, feature in enumerate(features):
        if len(feature.values) != math.prod(shape):
            raise invalid(
                f"Key: {spec.name}, Index: {index}.  Number of {feature.kind} values != expected.  "
                f"Values size: {len(feature.values)} but output shape: [{','.join(map(str, shape))}]"
            )
    values = chain.from_iterable(feature.values for feature in features)
    return _array(spec, list(values)).reshape(len(examples), *shape)


def _feature(spec: TensorSpec, index: int, example: Example) -> Feature:
    wanted = _KINDS[spec.numpy_dtype.kind]
    feature = example.get(spec.name)
    if feature is None:
        raise invalid(
            f"Index: {index}, Feature: {spec.name} (data type: {wanted[0]}) is required but could not be found."
        )
    if feature.values and feature.kind not in wanted:
        raise invalid(
            f"Key: {spec.name}, Index: {index}.  Data types don't match. "
            f"Data type: {feature.kind} but expected type: {wanted[0]}"
        )
    return feature


def _row_shape(spec: TensorSpec, size: int) -> tuple[int, ...]:
    """The shape of a row of `size` values: an axis of any length is as long as they make it."""
    shape = spec.shape[1:]
    if shape.count(-1) > 1:
        raise invalid(f"input {spec.name!r} has several axes of any length, which no feature tells: predict takes it")
    known = math.prod(axis for axis in shape if axis != -1)
    return tuple(size // known if axis == -1 and known else axis for axis in shape)


def _array(spec: TensorSpec, values: list[Any]) -> Array:
    kind = spec.numpy_dtype.kind
    if kind == "O":
        return _texts(spec, values)
    if kind == "f":
        with np.errstate(over="ignore"):  # a number too large for the dtype becomes infinite
            return np.array(values, spec.numpy_dtype)
    numbers = np.array(values, np.int64)
    low, high = (0, 1) if kind == "b" else (np.iinfo(spec.numpy_dtype).min, np.iinfo(spec.numpy_dtype).max)
    if numbers.size and not low <= int(numbers.min()) <= int(numbers.max()) <= high:
        raise invalid(f"Feature: {spec.name} has a value that is no {spec.dtype}: they go from {low} to {high}")
    return numbers.astype(spec.numpy_dtype)


def _texts(spec: TensorSpec, values: list[bytes]) -> Array:
    """A string tensor holds text, so the bytes must be UTF-8."""
    try:
        return np.array([bytes(value).decode() for value in values], object)
    except UnicodeDecodeError as error:
        raise invalid(f"Feature: {spec.name} holds bytes that are not text in UTF-8") from error
