"""From the inputs that a request describes to the tensors that the model takes."""

from __future__ import annotations

import math
import sys

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Tensors, TensorSpec
from fairlead.transport.invalid import invalid
from fairlead.transport.v2.binary import from_bytes
from fairlead.transport.v2.datatype import BYTES, DATATYPES
from fairlead.transport.v2.inference import Given, Inference
from fairlead.transport.v2.values import from_values

__all__ = ["decode_inputs"]


def decode_inputs(inference: Inference, manifest: Manifest) -> Tensors:
    """The tensors. What they claim to be is checked against the signature before any memory is taken for them.

    Raises:
        FairleadError: INVALID_ARGUMENT. Batches and values are left to `Signature.check_inputs`.
    """
    specs = manifest.signature.inputs
    if inference.raw is not None:
        return _from_raw(inference.raw, manifest)
    tensors: dict[str, Array] = {}
    for given in inference.given:
        spec = _named(given.name, specs)
        if spec is None:
            raise invalid(f"unexpected inference input {given.name[:80]!r} for model {manifest.model!r}")
        if given.name in tensors:
            raise invalid(f"input {given.name[:80]!r} already exists in request")
        tensors[given.name] = _tensor(spec, given, manifest.model)
    if len(tensors) != len(specs):
        raise invalid(
            f"expected {len(specs)} inputs but got {len(tensors)} inputs for model {manifest.model!r}; "
            f"missing: {sorted({spec.name for spec in specs} - tensors.keys())}"
        )
    return tensors


def _named(name: str, specs: tuple[TensorSpec, ...]) -> TensorSpec | None:
    for spec in specs:  # they are few
        if spec.name == name:
            return spec
    return None


def _tensor(spec: TensorSpec, given: Given, model: str) -> Array:
    datatype = DATATYPES[spec.dtype]
    if given.datatype != datatype:
        raise invalid(
            f"inference input {spec.name!r} data-type is {given.datatype[:80]!r}, "
            f"but model {model!r} expects {datatype!r}"
        )
    if not spec.admits(given.shape):
        raise invalid(
            f"unexpected shape for input {spec.name!r} for model {model!r}. "
            f"Expected {_brackets(spec.shape)}, got {_brackets(given.shape[:80])}"
        )
    if _elements(given.shape) * spec.numpy_dtype.itemsize > sys.maxsize:
        raise invalid(f"shape {_brackets(given.shape[:80])} of input {spec.name!r} is too large")
    if isinstance(given.data, list):
        return from_values(spec, given.shape, given.data)
    return from_bytes(spec, given.shape, given.data)


def _elements(shape: tuple[int, ...]) -> int:
    """How many elements numpy counts: it leaves out zeros, so that an empty tensor can be too large as well."""
    return math.prod(shape) or math.prod([size or 1 for size in shape])


def _from_raw(data: memoryview, manifest: Manifest) -> Tensors:
    """A request that is nothing but the only input's bytes: one row, or one string."""
    spec, *others = manifest.signature.inputs
    if others:
        raise invalid(f"a raw request has one input, and model {manifest.model!r} takes {len(others) + 1}")
    if spec.dtype == "string":
        data = memoryview(len(data).to_bytes(4, "little") + data)
    given = Given(name=spec.name, datatype=DATATYPES[spec.dtype], shape=_raw_shape(spec, len(data)), data=data)
    return {spec.name: _tensor(spec, given, manifest.model)}


def _raw_shape(spec: TensorSpec, size: int) -> tuple[int, ...]:
    """One row, whose only axis of any length, if it has one, is as long as the bytes make it."""
    shape = (1, *spec.shape[1:]) if spec.shape[:1] == (-1,) else spec.shape
    if shape.count(-1) > 1 or (DATATYPES[spec.dtype] == BYTES and shape.count(-1)):
        raise invalid(f"the shape {_brackets(spec.shape)} of input {spec.name!r} cannot be told from raw bytes")
    row = math.prod(size for size in shape if size != -1) * spec.numpy_dtype.itemsize
    return tuple(size // row if axis == -1 and row else axis for axis in shape)


def _brackets(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
