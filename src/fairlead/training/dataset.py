"""The rows a model is trained and judged on, and the digests that tell them apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Signature

__all__ = [
    "Dataset",
    "Rows",
    "Split",
    "class_counts",
    "data_digest",
    "non_finite",
    "overlap",
    "row_digests",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Inputs with their true labels. No rows at all is legal: whether they suffice is a gate's business.

    Attributes:
        inputs: as the model takes them: float32 [n, ...] or texts (object [n], of str) for its only input, or such
            an array, of any dtype that a tensor may have, for each input by name. Not typed closer: what a recipe
            loads as one array, it need not ask about.
        labels: int64 [n], each an index into the recipe's labels.
    """

    inputs: Any
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.labels.dtype != np.int64 or self.labels.ndim != 1:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"labels of dtype {self.labels.dtype} and shape {list(self.labels.shape)}; int64 [n] is wanted",
            )
        for name, array in self.columns.items():
            _check_column(name, array, len(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """The inputs by name; the only one without a name is ""."""
        return self.inputs if isinstance(self.inputs, Mapping) else {"": self.inputs}

    def take(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Rows:
        """The rows that a mask or a list of positions chooses."""
        return Rows(
            inputs=self._with({name: array[which] for name, array in self.columns.items()}), labels=self.labels[which]
        )

    def joined(self, more: Rows) -> Rows:
        """These rows and then `more`, which are of the same kind."""
        columns = {name: np.concatenate([array, more.columns[name]]) for name, array in self.columns.items()}
        return Rows(inputs=self._with(columns), labels=np.concatenate([self.labels, more.labels]))

    def tensors(self, signature: Signature) -> dict[str, NDArray[Any]]:
        """The inputs as a model of this signature takes them.

        Raises:
            FairleadError: INVALID_ARGUMENT when it takes others.
        """
        columns = dict(self.columns)
        if "" in columns and len(signature.inputs) == 1:
            columns = {signature.inputs[0].name: columns[""]}
        if columns.keys() != {spec.name for spec in signature.inputs}:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"rows have the inputs {sorted(columns)}; the model takes {[spec.name for spec in signature.inputs]}",
            )
        return columns

    def _with(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        return columns if isinstance(self.inputs, Mapping) else columns[""]


def _check_column(name: str, array: NDArray[Any], rows: int) -> None:
    told = f"input {name!r}" if name else "the input"
    if array.ndim == 0 or len(array) != rows:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{told} of shape {list(array.shape)} does not fit labels of shape [{rows}]"
        )
    if array.dtype.kind == "O":
        odd = {type(item).__name__ for item in array.flat if not isinstance(item, str)}
        if odd:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{told} holds a {min(odd)}; texts are of str")
    elif array.dtype.kind not in "fiub" or (not name and array.dtype != np.float32):
        raise FairleadError(Code.INVALID_ARGUMENT, f"{told} is {array.dtype}; float32 or texts (object) are wanted")


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
    """A 16-byte BLAKE2b digest of each input row, in the order of the rows."""
    columns = [_row_bytes(array) for array in rows.columns.values()]
    return tuple(hashlib.blake2b(b"".join(parts), digest_size=16).digest() for parts in zip(*columns, strict=True))


def _row_bytes(array: NDArray[Any]) -> Iterator[bytes]:
    """The bytes of each row; those of texts begin with their lengths, so that no two rows have the same."""
    if array.dtype.kind == "O":
        return (b"".join(_text_bytes(text) for text in np.ravel(row)) for row in array)
    return (row.tobytes() for row in np.ascontiguousarray(array))


def _text_bytes(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return len(data).to_bytes(8, "little") + data


def data_digest(dataset: Dataset) -> str:
    """A SHA-256 (hex) over shapes, inputs and labels of both parts: equal exactly for equal data."""
    digest = hashlib.sha256()
    for rows in (dataset.train, dataset.held_out):
        for name, array in rows.columns.items():
            digest.update((name + repr(array.shape)).encode())
            if array.dtype.kind == "O":
                for data in _row_bytes(array):
                    digest.update(data)
            else:
                digest.update(np.ascontiguousarray(array).data)
        digest.update(np.ascontiguousarray(rows.labels).data)
    return digest.hexdigest()


def non_finite(rows: Rows) -> int:
    """How many numbers of the inputs are NaN or infinite."""
    numbers = [array for array in rows.columns.values() if array.dtype.kind == "f"]
    return sum(int(array.size - np.isfinite(array).sum()) for array in numbers)


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
