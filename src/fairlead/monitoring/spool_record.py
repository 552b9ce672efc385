"""The records of a spool: what a version is, and what became of a batch that it ran.

A record is its length and a checksum, four bytes each, then a byte that says what it is, then its content: JSON for a
version, columns for a batch. Numbers are little-endian. What is after a record that is not whole cannot be read.
"""

from __future__ import annotations

import enum
import json
import struct
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code
from fairlead.monitoring.prediction import Arm

__all__ = [
    "ARMS",
    "CODES",
    "HEAD",
    "ID_BYTES",
    "Answered",
    "Kind",
    "VersionRecord",
    "encode_batch",
    "frame",
    "frames",
    "take_arrays",
]

ARMS = tuple(arm.value for arm in Arm)
CODES = ("", *(code.value for code in Code))
_CODE_NUMBERS = {code: number for number, code in enumerate(CODES)}
_ARM_NUMBERS = {arm: number for number, arm in enumerate(ARMS)}
_FRAME = struct.Struct("<IIB")
HEAD = struct.Struct("<HI")
_ARRAY = struct.Struct("<BBBI")
ID_BYTES = 36
_MAX_FRAME_BYTES = 1 << 30
_MAX_LATENCY_US = 0xFFFFFFFF

Array = NDArray[Any]


class Kind(enum.IntEnum):
    """What a record is."""

    VERSION = 1
    BATCH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """A version by the number that batches in the same file call it.

    Attributes:
        number: which stands in the batches.
        labels: of its classes; empty where there are none.
        features: the names of the drift features.
        categories: what the numbers of a feature stand for, from 0, of those that are categories.
    """

    number: int
    model: str
    version: int
    labels: tuple[str, ...]
    features: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The whole record."""
        body = {
            "number": self.number,
            "model": self.model,
            "version": self.version,
            "labels": list(self.labels),
            "features": list(self.features),
            "categories": {name: list(texts) for name, texts in self.categories.items()},
        }
        return frame(Kind.VERSION, json.dumps(body).encode())

    @staticmethod
    def decode(content: bytes) -> VersionRecord:
        """Read the content of such a record."""
        body = json.loads(content)
        return VersionRecord(
            number=int(body["number"]),
            model=str(body["model"]),
            version=int(body["version"]),
            labels=tuple(body["labels"]),
            features=tuple(body["features"]),
            # Spools that were written before there were categories lack them.
            categories={name: tuple(texts) for name, texts in body.get("categories", {}).items()},
        )


class Answered:
    """A request of a batch, as it is written down.

    Args:
        id: 36 characters.
        arm: one of `ARMS`.
        rows: how many it has.
        latency_us: from its arrival to its answer.
        error: the code of its failure, or nothing.
        is_sampled: whether its rows are in the arrays.
    """

    __slots__ = ("arm", "error", "id", "is_sampled", "latency_us", "rows")  # a plain class: each request makes one

    def __init__(self, id: str, arm: str, rows: int, latency_us: int, error: str, *, is_sampled: bool) -> None:  # noqa: A002
        self.id = id
        self.arm = arm
        self.rows = rows
        self.latency_us = latency_us
        self.error = error
        self.is_sampled = is_sampled


def frame(kind: int, content: bytes) -> bytes:
    """The record that has this content."""
    return _FRAME.pack(len(content), zlib.crc32(content, kind), kind) + content


def encode_batch(
    number: int,
    requests: Sequence[Answered],
    *,
    features: Array | None,
    outputs: Mapping[str, Array],
    inputs: Mapping[str, Array],
) -> bytes:
    """The record of a batch.

    Args:
        number: of the version that ran it.
        requests: in the order of their rows.
        features: float32 [rows, features] of the sampled rows; None when they have none.
        outputs: by name, with a row for each sampled row; empty where they are not kept.
        inputs: likewise.
    """
    parts = [
        HEAD.pack(number, len(requests)),
        "".join([request.id for request in requests]).encode("ascii"),
        bytes([_ARM_NUMBERS[request.arm] for request in requests]),
        bytes([_CODE_NUMBERS.get(request.error, 0) for request in requests]),
        bytes([request.is_sampled for request in requests]),
        array("I", [request.rows for request in requests]).tobytes(),
        array("I", [min(request.latency_us, _MAX_LATENCY_US) for request in requests]).tobytes(),
    ]
    _put_arrays(parts, {} if features is None else {"features": features})
    _put_arrays(parts, outputs)
    _put_arrays(parts, inputs)
    return frame(Kind.BATCH, b"".join(parts))


def frames(data: bytes, start: int = 0) -> Iterator[tuple[int, bytes, int]]:
    """The kind, the content and the end of each whole record from byte `start` on, up to one that is not whole."""
    while start + _FRAME.size <= len(data):
        size, checksum, kind = _FRAME.unpack_from(data, start)
        end = start + _FRAME.size + size
        content = data[start + _FRAME.size : end]
        if size > _MAX_FRAME_BYTES or end > len(data) or zlib.crc32(content, kind) != checksum:
            return
        yield kind, content, end
        start = end


def _put_arrays(parts: list[bytes], arrays: Mapping[str, Array]) -> None:
    parts.append(bytes([len(arrays)]))
    for name, values in arrays.items():
        is_text = values.dtype.kind == "O"
        content = _json_of(values) if is_text else np.ascontiguousarray(values).tobytes()
        label, dtype = name.encode(), b"json" if is_text else values.dtype.str.encode()
        parts += [
            _ARRAY.pack(len(label), len(dtype), values.ndim, len(content)),
            label,
            dtype,
            struct.pack(f"<{values.ndim}I", *values.shape),
            content,
        ]


def take_arrays(content: bytes, at: int) -> tuple[dict[str, Array], int]:
    """The arrays that `_put_arrays` put at byte `at`, and where they end."""
    count, at = content[at], at + 1
    arrays: dict[str, Array] = {}
    for _ in range(count):
        label, dtype, ndim, size = _ARRAY.unpack_from(content, at)
        at += _ARRAY.size
        name, at = content[at : at + label].decode(), at + label
        kind, at = content[at : at + dtype].decode("ascii"), at + dtype
        shape, at = struct.unpack_from(f"<{ndim}I", content, at), at + 4 * ndim
        if kind == "json":
            values = np.empty(shape, object)
            values.ravel()[:] = json.loads(content[at : at + size])
        else:
            values = np.frombuffer(content, kind, size // np.dtype(kind).itemsize, at).reshape(shape)
        arrays[name], at = values, at + size
    return arrays, at


def _json_of(values: Array) -> bytes:
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.ravel()]
    return json.dumps(texts).encode()
