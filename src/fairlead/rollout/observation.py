"""What is seen of a rollout, in columns: answers, labels that came for them, and a shadow's beside the stable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError

__all__ = ["NO_CLASS", "Answers", "Labels", "LoadFailure", "PairLabels", "Pairs"]

NO_CLASS = -1
"""The class of an answer that names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Rows that the two arms of a canary or an A/B answered, in order, all routed under one weight.

    Workers take up a new weight within seconds. Rows of those seconds belong to no weight for sure: leave them out.

    Attributes:
        weight: the candidate's planned share when they were routed, above 0 and at most 1.
        at_us: int64, when each was asked for, in microseconds since 1970.
        candidate: bool, the candidate's rows; the others are the stable version's.
        error: bool, no answer was given.
        non_finite: bool, the answer held NaN or infinity.
        latency_us: int64, from arrival to answer.
        predicted: int64, the index of the predicted class in `classes`; `NO_CLASS` for none.
        classes: the names of classes.
    """

    weight: float
    at_us: NDArray[np.int64]
    candidate: NDArray[np.bool_]
    error: NDArray[np.bool_]
    non_finite: NDArray[np.bool_]
    latency_us: NDArray[np.int64]
    predicted: NDArray[np.int64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_weight(self.weight)
        _check_lengths(self.at_us, self.candidate, self.error, self.non_finite, self.latency_us, self.predicted)
        _check_classes(self.predicted, self.classes)

    def __len__(self) -> int:
        return len(self.at_us)

    def __getitem__(self, rows: slice) -> Answers:
        return Answers(
            weight=self.weight,
            at_us=self.at_us[rows],
            candidate=self.candidate[rows],
            error=self.error[rows],
            non_finite=self.non_finite[rows],
            latency_us=self.latency_us[rows],
            predicted=self.predicted[rows],
            classes=self.classes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels that came for such rows, in the order they came, one for each row.

    Attributes:
        weight: the planned share when the rows they are for were routed.
        at_us: int64, when each label came.
        candidate: bool, whose answer it is about.
        right: bool, whether that answer was right.
    """

    weight: float
    at_us: NDArray[np.int64]
    candidate: NDArray[np.bool_]
    right: NDArray[np.bool_]

    def __post_init__(self) -> None:
        _check_weight(self.weight)
        _check_lengths(self.at_us, self.candidate, self.right)

    def __len__(self) -> int:
        return len(self.at_us)

    def __getitem__(self, rows: slice) -> Labels:
        return Labels(
            weight=self.weight, at_us=self.at_us[rows], candidate=self.candidate[rows], right=self.right[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Rows that both versions answered, the candidate as a shadow, in order.

    Attributes:
        at_us: int64, when each was asked for.
        stable_error, candidate_error: bool, no answer was given.
        stable_non_finite, candidate_non_finite: bool, the answer held NaN or infinity.
        stable_latency_us, candidate_latency_us: int64, of the model alone, since a shadow waits its turn.
        stable_predicted, candidate_predicted: int64, index of the class in `classes`; `NO_CLASS` for none.
        agrees: bool, the two answers are the same, as the model's kind defines it.
        classes: the names of classes.
    """

    at_us: NDArray[np.int64]
    stable_error: NDArray[np.bool_]
    candidate_error: NDArray[np.bool_]
    stable_non_finite: NDArray[np.bool_]
    candidate_non_finite: NDArray[np.bool_]
    stable_latency_us: NDArray[np.int64]
    candidate_latency_us: NDArray[np.int64]
    stable_predicted: NDArray[np.int64]
    candidate_predicted: NDArray[np.int64]
    agrees: NDArray[np.bool_]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_lengths(
            self.at_us,
            self.stable_error,
            self.candidate_error,
            self.stable_non_finite,
            self.candidate_non_finite,
            self.stable_latency_us,
            self.candidate_latency_us,
            self.stable_predicted,
            self.candidate_predicted,
            self.agrees,
        )
        _check_classes(self.stable_predicted, self.classes)
        _check_classes(self.candidate_predicted, self.classes)

    def __len__(self) -> int:
        return len(self.at_us)

    def __getitem__(self, rows: slice) -> Pairs:
        return Pairs(
            at_us=self.at_us[rows],
            stable_error=self.stable_error[rows],
            candidate_error=self.candidate_error[rows],
            stable_non_finite=self.stable_non_finite[rows],
            candidate_non_finite=self.candidate_non_finite[rows],
            stable_latency_us=self.stable_latency_us[rows],
            candidate_latency_us=self.candidate_latency_us[rows],
            stable_predicted=self.stable_predicted[rows],
            candidate_predicted=self.candidate_predicted[rows],
            agrees=self.agrees[rows],
            classes=self.classes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLabels:
    """Labels that came for rows that both versions answered.

    Attributes:
        at_us: int64, when each label came.
        stable_right, candidate_right: bool, who was right.
    """

    at_us: NDArray[np.int64]
    stable_right: NDArray[np.bool_]
    candidate_right: NDArray[np.bool_]

    def __post_init__(self) -> None:
        _check_lengths(self.at_us, self.stable_right, self.candidate_right)

    def __len__(self) -> int:
        return len(self.at_us)

    def __getitem__(self, rows: slice) -> PairLabels:
        return PairLabels(
            at_us=self.at_us[rows], stable_right=self.stable_right[rows], candidate_right=self.candidate_right[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFailure:
    """A server could not load the candidate, for a reason that lies in the candidate.

    Attributes:
        at_us: when.
        detail: one sentence.
    """

    at_us: int
    detail: str


def _check_weight(weight: float) -> None:
    if not 0.0 < weight <= 1.0:
        raise FairleadError(Code.INVALID_ARGUMENT, f"a weight of {weight} routes nothing: above 0, at most 1")


def _check_lengths(*columns: NDArray[np.int64] | NDArray[np.bool_]) -> None:
    if len({len(column) for column in columns}) != 1:
        lengths = [len(column) for column in columns]
        raise FairleadError(Code.INVALID_ARGUMENT, f"columns of one table have {lengths} rows")


def _check_classes(predicted: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    if len(predicted) and not (predicted.min() >= NO_CLASS and predicted.max() < len(classes)):
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"a predicted class {int(predicted.max())} is none of {len(classes)}"
        )
