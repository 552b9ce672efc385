"""Checks of a data set: enough rows of every class on both sides, nothing shared, nothing that is not a number."""

from __future__ import annotations

from fairlead.gate.evidence import DataEvidence
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Bound, Check, Unit, Verdict
from fairlead.gate.wording import listed

__all__ = [
    "finite_values",
    "held_out_rows",
    "held_out_rows_per_class",
    "overlap",
    "training_classes",
    "training_rows",
    "training_rows_per_class",
]

_MIN_CLASSES = 2


def training_rows(evidence: DataEvidence, thresholds: Thresholds) -> Check:
    """There are enough rows to train on."""
    return _row_floor(
        name="training rows",
        rows=evidence.train_rows,
        minimum=thresholds.min_train_rows,
        short=Verdict.FAILED,
        what="training rows",
    )


def training_classes(evidence: DataEvidence) -> Check:
    """Every class has training rows, and there are at least two classes to tell apart."""
    present = sum(count > 0 for count in evidence.train_counts)
    wanted = max(_MIN_CLASSES, len(evidence.labels))
    return Check(
        name="training classes",
        verdict=Bound.AT_LEAST.judge(present, wanted),
        figure=present,
        threshold=wanted,
        bound=Bound.AT_LEAST,
        unit=Unit.COUNT,
        detail=_classes_detail(evidence, present),
    )


def training_rows_per_class(evidence: DataEvidence, thresholds: Thresholds) -> Check:
    """The class with the fewest training rows has enough of them."""
    return _row_floor(
        name="training rows per class",
        rows=min(evidence.train_counts),
        minimum=thresholds.min_train_rows_per_class,
        short=Verdict.FAILED,
        what=f"training rows of class {_scarcest(evidence.labels, evidence.train_counts)}",
    )


def held_out_rows(evidence: DataEvidence, thresholds: Thresholds) -> Check:
    """There are enough held-out rows to judge a model by."""
    return _row_floor(
        name="held-out rows",
        rows=evidence.held_out_rows,
        minimum=thresholds.min_held_out_rows,
        short=Verdict.INCONCLUSIVE,
        what="held-out rows",
    )


def held_out_rows_per_class(evidence: DataEvidence, thresholds: Thresholds) -> Check:
    """The class with the fewest held-out rows has enough of them to be judged."""
    return _row_floor(
        name="held-out rows per class",
        rows=min(evidence.held_out_counts),
        minimum=thresholds.min_held_out_rows_per_class,
        short=Verdict.INCONCLUSIVE,
        what=f"held-out rows of class {_scarcest(evidence.labels, evidence.held_out_counts)}",
    )


def overlap(evidence: DataEvidence) -> Check:
    """No held-out row was trained on; without rows on both sides nothing was compared."""
    compared = evidence.train_rows > 0 and evidence.held_out_rows > 0
    told = f"the training set shares {evidence.overlap:,} of the {evidence.held_out_rows:,} held-out rows"
    return _none_allowed(
        name="overlap",
        count=evidence.overlap,
        compared=compared,
        detail=told if compared else "one of the two sets is empty, so no rows were compared",
    )


def finite_values(evidence: DataEvidence) -> Check:
    """Every number in both sets is finite; without rows there was none to look at."""
    rows = evidence.train_rows + evidence.held_out_rows
    told = f"the number of NaN or infinite values in {rows:,} rows is {evidence.non_finite:,}"
    return _none_allowed(
        name="finite values",
        count=evidence.non_finite,
        compared=rows > 0,
        detail=told if rows else "both sets are empty, so no number was looked at",
    )


def _row_floor(*, name: str, rows: int, minimum: int, short: Verdict, what: str) -> Check:
    if rows >= minimum:
        verdict, detail = Verdict.PASSED, f"there are {rows:,} {what}"
    elif rows:
        verdict, detail = (
            short,
            f"the number of {what} is {rows:,}, {minimum - rows:,} fewer than the {minimum:,} needed",
        )
    else:
        verdict, detail = Verdict.FAILED, f"there are no {what}"
    return Check(
        name=name,
        verdict=verdict,
        figure=rows,
        threshold=minimum,
        bound=Bound.AT_LEAST,
        unit=Unit.COUNT,
        detail=detail,
    )


def _none_allowed(*, name: str, count: int, compared: bool, detail: str) -> Check:
    return Check(
        name=name,
        verdict=Bound.AT_MOST.judge(count, 0) if compared else Verdict.INCONCLUSIVE,
        figure=count if compared else None,
        threshold=0,
        bound=Bound.AT_MOST,
        unit=Unit.COUNT,
        detail=detail,
    )


def _classes_detail(evidence: DataEvidence, present: int) -> str:
    known = len(evidence.labels)
    if known < _MIN_CLASSES:
        return f"{evidence.labels[0]!r} is the only class, and there is nothing to tell it from"
    if present == known:
        return f"training rows cover all {known} classes"
    missing = listed(_holding(evidence.labels, evidence.train_counts, 0))
    return f"training rows cover {present} of {known} classes; missing: {missing}"


def _scarcest(labels: tuple[str, ...], counts: tuple[int, ...]) -> str:
    return listed(_holding(labels, counts, min(counts)))


def _holding(labels: tuple[str, ...], counts: tuple[int, ...], rows: int) -> list[str]:
    return [label for label, count in zip(labels, counts, strict=True) if count == rows]
