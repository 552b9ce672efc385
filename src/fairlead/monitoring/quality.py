"""How good a version is in production: its answers held against the labels that came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.calibration import Calibration, calibration
from fairlead.monitoring.share import Share

__all__ = ["NO_LABEL", "Answers", "ClassQuality", "QualityReport", "assess", "by_window"]

NO_LABEL = ""
"""The truth of a row that nobody has labelled."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What one version answered in one arm, in n rows.

    Attributes:
        model, version, arm: who answered.
        since_us, until_us: the window that was looked at; the end is not in it.
        predicted: the label of the largest output, str, shape (n,).
        confidence: that output, float64, shape (n,); NaN where there is none.
        truth: the label that counts, str, shape (n,); `NO_LABEL` where there is none.
        at_us: when each was asked for, int64, shape (n,).
        labelled_us: when its first label came, int64, shape (n,); anything where there is none.
    """

    model: str
    version: int
    arm: str
    since_us: int
    until_us: int
    predicted: NDArray[np.str_]
    confidence: NDArray[np.float64]
    truth: NDArray[np.str_]
    at_us: NDArray[np.int64]
    labelled_us: NDArray[np.int64]

    def __post_init__(self) -> None:
        shapes = {array.shape for array in self._arrays()}
        if len(shapes) > 1 or self.predicted.ndim != 1:
            raise FairleadError(Code.INVALID_ARGUMENT, f"answers need one value a row in each array, got {shapes}")

    def take(self, mask: NDArray[np.bool_]) -> Answers:
        """The rows where `mask`, shape (n,), is true."""
        predicted, confidence, truth, at_us, labelled_us = (array[mask] for array in self._arrays())
        return replace(
            self, predicted=predicted, confidence=confidence, truth=truth, at_us=at_us, labelled_us=labelled_us
        )

    def _arrays(self) -> tuple[NDArray[Any], ...]:
        return self.predicted, self.confidence, self.truth, self.at_us, self.labelled_us


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassQuality:
    """How well one class is told from the others.

    Attributes:
        label: the class.
        precision: of the rows predicted as it, those that are; None where it is never predicted.
        recall: of the rows that are it, those predicted so; None where it is never true.
        f1: the harmonic mean of the two, 0 where either is; None where the class does not occur at all.
    """

    label: str
    precision: Share | None
    recall: Share | None
    f1: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "precision": self.precision and self.precision.to_json(),
            "recall": self.recall and self.recall.to_json(),
            "f1": self.f1,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityReport:
    """What the labels say about one version in one arm and window. Where labels are few, the intervals are wide.

    Attributes:
        model, version, arm, since_us, until_us: as in `Answers`.
        rows: how many were answered.
        coverage: how many of them have a label; None without rows.
        foreign: labels that are no class of the version; they count in `coverage` and nowhere else.
        delay_median_s, delay_p95_s: from a prediction to its first label; None without labels.
        accuracy: how many of the labelled rows were right; None without labels.
        classes: each class, in the order of the confusion matrix.
        confusion: labelled rows by true class (row) and predicted class (column).
        calibration: None where no labelled row has a probability.
    """

    model: str
    version: int
    arm: str
    since_us: int
    until_us: int
    rows: int
    coverage: Share | None
    foreign: int
    delay_median_s: float | None
    delay_p95_s: float | None
    accuracy: Share | None
    classes: tuple[ClassQuality, ...]
    confusion: tuple[tuple[int, ...], ...]
    calibration: Calibration | None

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "version": self.version,
            "arm": self.arm,
            "since_us": self.since_us,
            "until_us": self.until_us,
            "rows": self.rows,
            "coverage": self.coverage and self.coverage.to_json(),
            "foreign": self.foreign,
            "delay_median_s": self.delay_median_s,
            "delay_p95_s": self.delay_p95_s,
            "accuracy": self.accuracy and self.accuracy.to_json(),
            "classes": [one.to_json() for one in self.classes],
            "confusion": [list(row) for row in self.confusion],
            "calibration": self.calibration and self.calibration.to_json(),
        }


def assess(
    answers: Answers, *, classes: Sequence[str] | None = None, bins: int = 10, level: float = 0.95
) -> QualityReport:
    """Hold answers against their labels.

    Rows without a label say nothing about quality. They are not guessed at: where labels come more readily for some
    predictions than for others, the figures are those of the rows that were labelled.

    Args:
        answers: of one version in one arm.
        classes: those that the version knows, in the order of its outputs; None for those that occur, sorted.
        bins: of the reliability table.
        level: of all intervals.

    Source: precision, recall and F1: C. J. van Rijsbergen, "Information Retrieval", 2nd ed. (1979), chapter 7; the
    intervals: `significance.shares`.

    >>> said = np.array(["7", "7", "1", "1", "7"])
    >>> true = np.array(["7", "7", "1", "7", NO_LABEL])
    >>> minute = np.arange(5) * 60_000_000
    >>> report = assess(Answers(model="digits", version=3, arm="stable", since_us=0, until_us=300_000_000,
    ...     predicted=said, confidence=np.full(5, 0.9), truth=true, at_us=minute, labelled_us=minute + 90_000_000))
    >>> report.accuracy.value, round(report.accuracy.low, 3), report.coverage.value, report.delay_median_s
    (0.75, 0.301, 0.8, 90.0)
    >>> [(one.label, round(one.precision.value, 2), round(one.recall.value, 2), round(one.f1, 2))
    ...     for one in report.classes]
    [('1', 0.5, 1.0, 0.67), ('7', 1.0, 0.67, 0.8)]
    >>> report.confusion
    ((1, 0), (1, 2))
    """
    is_labelled = answers.truth != NO_LABEL
    labelled = answers.take(is_labelled)
    is_known = np.isin(labelled.truth, classes) if classes is not None else np.ones(len(labelled.truth), np.bool_)
    judged = labelled.take(is_known)
    names = _names(judged, classes)
    matrix = _confusion(judged, names)
    median_s, p95_s = _delays(labelled)
    return QualityReport(
        model=answers.model,
        version=answers.version,
        arm=answers.arm,
        since_us=answers.since_us,
        until_us=answers.until_us,
        rows=len(answers.truth),
        coverage=Share.of(len(labelled.truth), len(answers.truth), level),
        foreign=len(labelled.truth) - len(judged.truth),
        delay_median_s=median_s,
        delay_p95_s=p95_s,
        accuracy=Share.of(int(np.trace(matrix)), int(matrix.sum()), level),
        classes=tuple(_class(name, matrix, place, level) for place, name in enumerate(names)),
        confusion=tuple(tuple(row) for row in matrix.tolist()),
        calibration=calibration(judged.confidence, judged.predicted == judged.truth, bins=bins, level=level),
    )


def by_window(answers: Answers, width_us: int) -> Iterator[Answers]:
    """The answers of each window of `width_us`, from the first to the last, empty ones too; the last may be shorter."""
    if width_us < 1:
        raise FairleadError(Code.INVALID_ARGUMENT, f"a window of {width_us} us is none")
    for since_us in range(answers.since_us, answers.until_us, width_us):
        until_us = min(since_us + width_us, answers.until_us)
        inside = answers.take((answers.at_us >= since_us) & (answers.at_us < until_us))
        yield replace(inside, since_us=since_us, until_us=until_us)


def _names(judged: Answers, classes: Sequence[str] | None) -> list[str]:
    """The classes, and after them what was predicted although it is none: nothing is left uncounted."""
    occurring = np.unique(np.concatenate([judged.truth, judged.predicted])).tolist()
    known = list(classes or ())
    return [*known, *(name for name in occurring if name not in known)]


def _confusion(judged: Answers, names: list[str]) -> NDArray[np.int64]:
    """Counts by true and predicted class, shape (k, k)."""
    order = np.argsort(names)
    ranked = np.array(names, dtype=np.str_)[order]
    truth, predicted = (order[np.searchsorted(ranked, array)] for array in (judged.truth, judged.predicted))
    counts = np.bincount(truth * len(names) + predicted, minlength=len(names) ** 2)
    return counts.reshape(len(names), len(names)).astype(np.int64)


def _class(label: str, matrix: NDArray[np.int64], place: int, level: float) -> ClassQuality:
    right, said, true = int(matrix[place, place]), int(matrix[:, place].sum()), int(matrix[place].sum())
    return ClassQuality(
        label=label,
        precision=Share.of(right, said, level),
        recall=Share.of(right, true, level),
        f1=2 * right / (said + true) if said + true else None,
    )


def _delays(labelled: Answers) -> tuple[float | None, float | None]:
    """Median and 95th percentile in seconds. A label from a clock that is behind came at once."""
    if not len(labelled.truth):
        return None, None
    delays_s = np.maximum(labelled.labelled_us - labelled.at_us, 0) / 1e6
    median_s, p95_s = np.quantile(delays_s, [0.5, 0.95])
    return float(median_s), float(p95_s)
