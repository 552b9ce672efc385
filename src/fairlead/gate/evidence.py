"""What the gate looks at: counts of a data set's rows, and what models answered on the held-out ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Cost, Manifest
from fairlead.servable.signature import Array, Signature

__all__ = ["NO_CLASS", "DataEvidence", "ImportEvidence", "ModelEvidence", "predicted_classes"]

NO_CLASS = -1
"""The predicted class of a row whose outputs are not all finite: it is right about nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataEvidence:
    """A data set, counted.

    Attributes:
        labels: the classes that the recipe declares, in the order of the model's outputs.
        train_counts: training rows of each class, in the order of `labels`.
        held_out_counts: held-out rows of each class, in the order of `labels`.
        overlap: held-out rows that are also training rows, by digest.
        non_finite: numbers in either set that are NaN or infinite.
    """

    labels: tuple[str, ...]
    train_counts: tuple[int, ...]
    held_out_counts: tuple[int, ...]
    overlap: int
    non_finite: int

    def __post_init__(self) -> None:
        _check_labels(self.labels)
        for side, counts in (("training", self.train_counts), ("held-out", self.held_out_counts)):
            if len(counts) != len(self.labels) or min(counts) < 0:
                raise FairleadError(
                    Code.INVALID_ARGUMENT, f"the {side} counts {list(counts)} do not fit {len(self.labels)} labels"
                )
        if not 0 <= self.overlap <= self.held_out_rows:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"{self.overlap} of {self.held_out_rows} held-out rows cannot overlap"
            )
        if self.non_finite < 0:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{self.non_finite} numbers cannot be non-finite")

    @property
    def train_rows(self) -> int:
        """Training rows of all classes."""
        return sum(self.train_counts)

    @property
    def held_out_rows(self) -> int:
        """Held-out rows of all classes."""
        return sum(self.held_out_counts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelEvidence:
    """What a candidate, and the champion if there is one, answered on the same n held-out rows of k classes.

    Attributes:
        labels: the k classes, in the order of the outputs.
        truth: the true class of each row, int64 from 0 to k - 1, shape (n,).
        candidate: the exported model's probabilities, float32 or float64, shape (n, k).
        native: the training framework's own outputs for the same rows, float32 or float64, shape (n, k).
        champion: the champion's probabilities, float32 or float64, shape (n, k); None when it could not be asked.
        champion_name: what reports call the champion; empty when there is none.
        signature: the candidate's.
        champion_signature: the champion's; None when there is no champion, and then `champion` is None too.
        champion_labels: the champion's classes, in the order of its outputs; None when it has none to compare.
    """

    labels: tuple[str, ...]
    truth: NDArray[np.int64]
    candidate: Array
    native: Array
    champion: Array | None
    champion_name: str
    signature: Signature
    champion_signature: Signature | None
    champion_labels: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        _check_labels(self.labels)
        _check_truth(self.truth, len(self.labels))
        for whose, outputs in (("candidate", self.candidate), ("native", self.native), ("champion", self.champion)):
            if outputs is not None:
                _check_outputs(whose, outputs, (self.rows, len(self.labels)))
        if self.champion is not None and (not self.champion_name or self.champion_signature is None):
            raise FairleadError(
                Code.INVALID_ARGUMENT, "the champion's outputs were given without its name or its signature"
            )

    @property
    def rows(self) -> int:
        """Held-out rows."""
        return len(self.truth)

    @property
    def class_rows(self) -> NDArray[np.int64]:
        """Held-out rows of each class, shape (k,)."""
        return np.bincount(self.truth, minlength=len(self.labels)).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEvidence:
    """What is known of a model from elsewhere once it was loaded.

    Attributes:
        imported: what would be published.
        champion: what serves; None when nothing does.
        cost: what the first load measured.
        widths: the length of the last axis of each output of numbers, by its name, in answers to a sample.
        original: who else was asked the sample, such as "scikit-learn"; empty when there is only the file.
        rows: how many rows of a sample were asked.
        difference: how far the file's answers are from the original's at most, see `Golden.prove`.
    """

    imported: Manifest
    champion: Manifest | None
    cost: Cost
    widths: Mapping[str, int]
    original: str = ""
    rows: int = 0
    difference: float = 0.0


def predicted_classes(outputs: Array) -> NDArray[np.int64]:
    """The most probable class of each row, the first of equals; `NO_CLASS` where a row is not all finite.

    Args:
        outputs: float32 or float64, shape (n, k).

    Returns:
        int64, shape (n,).

    >>> predicted_classes(np.array([[0.1, 0.9], [0.5, 0.5], [np.nan, 1.0]]))
    array([ 1,  0, -1])
    """
    return np.where(np.isfinite(outputs).all(axis=1), outputs.argmax(axis=1), NO_CLASS)


def _check_labels(labels: tuple[str, ...]) -> None:
    if not labels or len(set(labels)) != len(labels):
        raise FairleadError(Code.INVALID_ARGUMENT, f"labels must be distinct and at least one, got {list(labels)}")


def _check_truth(truth: Array, classes: int) -> None:
    if truth.ndim != 1 or truth.dtype.kind != "i":
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"the truth must be one signed integer a row, got {truth.dtype} {list(truth.shape)}"
        )
    if truth.size and not 0 <= truth.min() <= truth.max() < classes:
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"the truth runs from {truth.min()} to {truth.max()} but there are {classes} labels"
        )


def _check_outputs(whose: str, outputs: Array, shape: tuple[int, int]) -> None:
    if outputs.shape != shape or outputs.dtype.kind != "f":
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the {whose} outputs are {outputs.dtype} {list(outputs.shape)} but floats {list(shape)} are needed",
        )
