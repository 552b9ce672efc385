"""The rows a model is trained and judged on, and the digests that tell them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["Dataset", "Rows", "Split", "class_counts", "data_digest", "overlap", "row_digests"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Inputs with their true labels. No rows at all is legal: whether they suffice is a gate's business.

    Attributes:
        inputs: float32 [n, ...], as the model takes them.
        labels: int64 [n], each an index into the recipe's labels.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.inputs.dtype != np.float32 or self.labels.dtype != np.int64:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"rows hold {self.inputs.dtype} inputs and {self.labels.dtype} labels; float32 and int64 are wanted",
            )
        if self.inputs.ndim == 0 or self.labels.ndim != 1 or len(self.inputs) != len(self.labels):
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"inputs of shape {list(self.inputs.shape)} do not fit labels of shape {list(self.labels.shape)}",
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Rows:
        """The rows that a mask or a list of positions chooses."""
        return Rows(inputs=self.inputs[which], labels=self.labels[which])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """What a recipe loaded.

    Attributes:
        train: rows to learn from.
        held_out: rows that no training ever sees.
        source: one sentence that says where the rows came from.
        origin: the same for programs; goes into the lineage.
    """

    train: Rows
    held_out: Rows
    source: str
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """The rows of one training run: learn from `train`, watch `validation`, judge once on `held_out`."""

    train: Rows
    validation: Rows
    held_out: Rows


def row_digests(rows: Rows) -> tuple[bytes, ...]:
    """A 16-byte BLAKE2b digest of each input row's bytes, in the order of the rows."""
    inputs = np.ascontiguousarray(rows.inputs)
    return tuple(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in inputs)


def data_digest(dataset: Dataset) -> str:
    """A SHA-256 (hex) over shapes, inputs and labels of both parts: equal exactly for equal data."""
    digest = hashlib.sha256()
    for rows in (dataset.train, dataset.held_out):
        digest.update(repr(rows.inputs.shape).encode())
        digest.update(np.ascontiguousarray(rows.inputs).data)
        digest.update(np.ascontiguousarray(rows.labels).data)
    return digest.hexdigest()


def overlap(split: Split) -> int:
    """How many held-out rows have an input that training or validation has too."""
    seen = {*row_digests(split.train), *row_digests(split.validation)}
    return sum(digest in seen for digest in row_digests(split.held_out))


def class_counts(rows: Rows, classes: int) -> tuple[int, ...]:
    """How many rows each of the classes 0..classes-1 has.

    Raises:
        FairleadError: INVALID_ARGUMENT when a label is none of them.
    """
    if len(rows) and not (rows.labels.min() >= 0 and rows.labels.max() < classes):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"labels run from {rows.labels.min()} to {rows.labels.max()}; they must be 0 to {classes - 1}",
        )
    return tuple(int(count) for count in np.bincount(rows.labels, minlength=classes))
