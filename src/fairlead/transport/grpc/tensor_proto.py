"""TensorFlow's TensorProto from and to arrays, as TensorFlow itself reads and writes it."""

from __future__ import annotations

import functools
import math
import sys
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from fairlead.errors import FairleadError
from fairlead.servable.signature import Array, TensorSpec
from fairlead.transport.grpc.messages import Message, enum_values, message_class
from fairlead.transport.grpc.packed import packed_field, take_packed
from fairlead.transport.invalid import invalid
from fairlead.transport.v2.binary import text_of

__all__ = ["DATA_TYPES", "from_proto", "write_proto"]

_TensorProto = message_class("tensorflow.TensorProto")
_NUMBERS = enum_values("tensorflow.DataType")
_NAMES = {number: name for name, number in _NUMBERS.items()}
DATA_TYPES = {"float16": _NUMBERS["DT_HALF"], "float32": _NUMBERS["DT_FLOAT"], "float64": _NUMBERS["DT_DOUBLE"]} | {
    dtype: _NUMBERS[f"DT_{dtype.upper()}"]
    for dtype in ("bool", "string", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}
"""TensorFlow's numbers by the dtype of a TensorSpec."""

_LISTS = {
    "float16": "half_val",
    "float32": "float_val",
    "float64": "double_val",
    "bool": "bool_val",
    "int64": "int64_val",
    "uint32": "uint32_val",
    "uint64": "uint64_val",
} | dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16"), "int_val")
"""Where the values of a dtype are."""

_VARINT_BITS = 64
_RAW = {"float32": 5, "float64": 6, "bool": 11}
"""The fields whose packed form is the array's memory, and their numbers."""


def from_proto(spec: TensorSpec, proto: Message, max_bytes: int) -> Array:
    """The tensor in `proto`, of which nothing is left afterwards.

    Args:
        spec: what the model takes; type and shape are compared with it before any memory is taken.
        proto: a TensorProto of a request that nobody else reads.
        max_bytes: how large a tensor may become that a client wrote as one value and a shape.

    Raises:
        FairleadError: INVALID_ARGUMENT. Batches and values are left to `Signature.check_inputs`.
    """
    if proto.dtype != DATA_TYPES[spec.dtype]:
        given, wanted = (_NAMES.get(number, str(number)) for number in (proto.dtype, DATA_TYPES[spec.dtype]))
        raise invalid(f"input {spec.name!r} is {given} but the model takes {wanted}")
    shape = _shape(spec, proto)
    if spec.dtype == "string":
        return _strings(spec.name, proto, shape, max_bytes)
    content = proto.tensor_content
    if content:
        return _from_content(spec, content, shape)
    return _fill(spec.name, _values(spec, proto), shape, max_bytes)


def write_proto(proto: Message, array: Array) -> None:
    """Write `array` into an empty TensorProto, as values, which every client reads."""
    dtype, head = _head(array.dtype, array.shape)
    if dtype in _RAW:
        proto.MergeFromString(head + packed_field(_RAW[dtype], array))
        return
    proto.MergeFromString(head)
    if dtype == "string":
        proto.string_val.extend(item.encode() if isinstance(item, str) else item for item in array.ravel().tolist())
    else:
        bits = array.view(np.uint16) if dtype == "float16" else array
        getattr(proto, _LISTS[dtype]).extend(bits.ravel().tolist())


@functools.lru_cache(maxsize=256)  # answers have few shapes
def _head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> tuple[str, bytes]:
    """What the dtype is called here, and a TensorProto without values."""
    name = dtype.name if dtype.kind in "fiub" else "string"
    proto = _TensorProto(dtype=DATA_TYPES[name])
    proto.tensor_shape.SetInParent()
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return name, proto.SerializeToString()


def _shape(spec: TensorSpec, proto: Message) -> tuple[int, ...]:
    shape = tuple([dim.size for dim in proto.tensor_shape.dim])
    if min(shape, default=0) < 0:
        raise _unparsable(spec.name, f"its shape {list(shape[:80])} has a negative size")
    if not spec.admits(shape):
        raise invalid(f"input {spec.name!r} has shape {list(shape[:80])} but the model takes {list(spec.shape)}")
    return shape


def _from_content(spec: TensorSpec, content: bytes, shape: tuple[int, ...]) -> Array:
    dtype = spec.numpy_dtype
    wanted = math.prod(shape) * dtype.itemsize
    if len(content) != wanted:
        raise _unparsable(spec.name, f"shape {list(shape)} takes {wanted} bytes and there are {len(content)}")
    if dtype.kind == "b":
        return np.not_equal(np.frombuffer(content, np.uint8), 0).reshape(shape)
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)


def _values(spec: TensorSpec, proto: Message) -> Array:
    """What is in the list for the dtype. What does not fit into the dtype wraps round, as in TensorFlow."""
    field = _LISTS[spec.dtype]
    if spec.dtype in _RAW:
        return take_packed(proto, field, spec.dtype)
    values = getattr(proto, field)
    if spec.dtype == "float16":
        return np.fromiter(values, np.int32, len(values)).astype(np.uint16).view(np.float16)
    wide = {"int_val": np.int32}.get(field, spec.numpy_dtype)
    return np.fromiter(values, wide, len(values)).astype(spec.numpy_dtype)


def _fill(name: str, values: Array, shape: tuple[int, ...], max_bytes: int) -> Array:
    """`values` in `shape`: the last stands for those that are not there, or zero when there is none."""
    count = math.prod(shape)
    # numpy multiplies the sizes without its zeros, so an empty tensor can be too large as well.
    if not count and math.prod(size or 1 for size in shape) * values.itemsize > sys.maxsize:
        raise _unparsable(name, f"its shape {list(shape[:80])} is too large")
    if len(values) >= count:
        return values[:count].reshape(shape)
    if count * values.itemsize > max_bytes:
        raise invalid(
            f"input {name!r} has shape {list(shape)} and {len(values)} values: filled up it would take "
            f"{count * values.itemsize} bytes, more than the {max_bytes} that FAIRLEAD_MAX_BODY_BYTES sets"
        )
    last = values[-1] if len(values) else values.dtype.type(0)
    full = np.full(count, last, values.dtype)
    full[: len(values)] = values
    return full.reshape(shape)


def _strings(name: str, proto: Message, shape: tuple[int, ...], max_bytes: int) -> Array:
    count = math.prod(shape)
    content = proto.tensor_content
    items = _split(name, content, count) if content else proto.string_val[:count]
    return _fill(name, np.array([text_of(item) for item in items] or [""], object), shape, max_bytes)


def _split(name: str, content: bytes, count: int) -> list[bytes]:
    """The strings in tensor_content, where all their lengths stand before all their bytes."""
    lengths: list[int] = []
    at = 0
    for _ in range(count):
        length, at = _varint(name, content, at)
        lengths.append(length)
    if at + sum(lengths) != len(content):
        raise _unparsable(name, f"its {count} strings do not fill {len(content)} bytes")
    ends = list(accumulate(lengths, initial=at))
    return [content[start:end] for start, end in pairwise(ends)]


def _varint(name: str, data: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where the next one is."""
    value = 0
    for shift in range(0, _VARINT_BITS, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last of a number
            return value, at
    raise _unparsable(name, "a string's length is cut off")


def _unparsable(name: str, reason: str) -> FairleadError:
    return invalid(f"tensor parsing error: {name}: {reason}")
