"""Checks of how good a candidate's answers are: on the whole, for each class, and beside the champion's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairlead.gate.evidence import NO_CLASS, ModelEvidence, predicted_classes
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Bound, Check, Unit, Verdict
from fairlead.gate.wording import listed, points
from fairlead.servable.signature import Array
from fairlead.significance.shares import mcnemar_worse, wilson_interval

__all__ = ["accuracy", "champion", "class_recall", "collapse", "silent_classes"]


def accuracy(evidence: ModelEvidence, thresholds: Thresholds) -> Check:
    """The share of rows that are right reaches the floor; on too few rows that is left open."""
    right = int(np.count_nonzero(_right(evidence, evidence.candidate)))
    figure = right / evidence.rows
    low, high = wilson_interval(right, evidence.rows)
    told = f"right on {right:,} of {evidence.rows:,} rows, 95% interval {low:.2%} to {high:.2%}"
    return Check(
        name="accuracy",
        verdict=_unless_few(Bound.AT_LEAST.judge(figure, thresholds.min_accuracy), evidence, thresholds),
        figure=figure,
        threshold=thresholds.min_accuracy,
        bound=Bound.AT_LEAST,
        unit=Unit.SHARE,
        detail=told + _shortfall(figure, thresholds.min_accuracy) + _few(evidence, thresholds),
    )


def class_recall(evidence: ModelEvidence, thresholds: Thresholds) -> Check:
    """The worst class with enough rows reaches its floor; a class with too few leaves the question open."""
    rows, right = evidence.class_rows, _right_by_class(evidence)
    enough = rows >= thresholds.min_held_out_rows_per_class
    short = f"too few rows to judge {listed(_labels(evidence, ~enough))}"
    if not enough.any():
        return _recall_check(Verdict.INCONCLUSIVE, None, thresholds, short)
    judged = np.flatnonzero(enough)
    worst = judged[np.argmin(right[judged] / rows[judged])]
    figure = float(right[worst] / rows[worst])
    verdict = Bound.AT_LEAST.judge(figure, thresholds.min_class_recall)
    told = f"the worst class, {evidence.labels[worst]!r}, is recognised on {right[worst]:,} of its {rows[worst]:,} rows"
    return _recall_check(
        verdict if enough.all() or verdict is Verdict.FAILED else Verdict.INCONCLUSIVE,
        figure,
        thresholds,
        told + _shortfall(figure, thresholds.min_class_recall) + ("" if enough.all() else f"; {short}"),
    )


def collapse(evidence: ModelEvidence, thresholds: Thresholds) -> Check:
    """No class is predicted much more often than it occurs; on too few rows that is left open."""
    predictions, truths = _predicted_by_class(evidence), evidence.class_rows
    worst = int(np.argmax(predictions - truths))
    figure = int(predictions[worst] - truths[worst]) / evidence.rows
    predicted, true = predictions[worst] / evidence.rows, truths[worst] / evidence.rows
    told = f"class {evidence.labels[worst]!r} is {predicted:.2%} of the predictions and {true:.2%} of the truth"
    over = figure - thresholds.max_share_excess
    return Check(
        name="collapse",
        verdict=_unless_few(Bound.AT_MOST.judge(figure, thresholds.max_share_excess), evidence, thresholds),
        figure=figure,
        threshold=thresholds.max_share_excess,
        bound=Bound.AT_MOST,
        unit=Unit.SHARE,
        detail=told + (f", {points(over)} more than allowed" if over > 0 else "") + _few(evidence, thresholds),
    )


def silent_classes(evidence: ModelEvidence, thresholds: Thresholds) -> Check:
    """Every class that occurs is predicted at least once; silence on a class with too few rows proves nothing."""
    unpredicted = _predicted_by_class(evidence) == 0
    enough = evidence.class_rows >= thresholds.min_held_out_rows_per_class
    silent, unknown = (_labels(evidence, mask) for mask in (unpredicted & enough, unpredicted & ~enough))
    verdict = Bound.AT_MOST.judge(len(silent), 0)
    return Check(
        name="silent classes",
        verdict=Verdict.INCONCLUSIVE if unknown and verdict is Verdict.PASSED else verdict,
        figure=len(silent),
        threshold=0,
        bound=Bound.AT_MOST,
        unit=Unit.COUNT,
        detail=_silence_detail(silent, unknown),
    )


def champion(evidence: ModelEvidence, thresholds: Thresholds) -> Check:
    """The candidate is not significantly worse than the champion on the same rows.

    Significance needs no least number of rows to fail a candidate, since the test is exact; a pass does.
    """
    if evidence.champion is None:
        return _unasked_champion(evidence, thresholds)
    ours, theirs = _right(evidence, evidence.candidate), _right(evidence, evidence.champion)
    b, c = int(np.count_nonzero(theirs & ~ours)), int(np.count_nonzero(ours & ~theirs))
    p = mcnemar_worse(b, c)
    verdict = Bound.AT_LEAST.judge(p, thresholds.champion_alpha)
    few = "" if verdict is Verdict.FAILED else _few(evidence, thresholds)
    return _champion_check(
        verdict if verdict is Verdict.FAILED else _unless_few(verdict, evidence, thresholds),
        p,
        thresholds,
        f"candidate {ours.mean():.2%}, champion {evidence.champion_name!r} {theirs.mean():.2%}"
        f"{_gap(b, c, evidence.rows)}; only the champion is right: b = {b:,}, only the candidate: c = {c:,}; "
        f"by luck alone: p = {p:.3g}{few}",
    )


def _right(evidence: ModelEvidence, outputs: Array) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = predicted_classes(outputs) == evidence.truth
    return right


def _right_by_class(evidence: ModelEvidence) -> NDArray[np.int64]:
    return np.bincount(evidence.truth[_right(evidence, evidence.candidate)], minlength=len(evidence.labels))


def _predicted_by_class(evidence: ModelEvidence) -> NDArray[np.int64]:
    predicted = predicted_classes(evidence.candidate)
    return np.bincount(predicted[predicted != NO_CLASS], minlength=len(evidence.labels))


def _labels(evidence: ModelEvidence, mask: NDArray[np.bool_]) -> list[str]:
    return [label for label, chosen in zip(evidence.labels, mask, strict=True) if chosen]


def _unless_few(verdict: Verdict, evidence: ModelEvidence, thresholds: Thresholds) -> Verdict:
    return verdict if evidence.rows >= thresholds.min_held_out_rows else Verdict.INCONCLUSIVE


def _few(evidence: ModelEvidence, thresholds: Thresholds) -> str:
    needed = thresholds.min_held_out_rows
    return f"; {evidence.rows:,} of the {needed:,} rows needed to judge by" if evidence.rows < needed else ""


def _shortfall(figure: float, floor: float) -> str:
    return f", {points(floor - figure)} below the floor" if figure < floor else ""


def _silence_detail(silent: list[str], unknown: list[str]) -> str:
    told = [f"never predicted though often true: {listed(silent)}"] if silent else []
    told += [f"never predicted, on too few rows to mind: {listed(unknown)}"] if unknown else []
    return "; ".join(told) or "every class is predicted at least once"


def _gap(b: int, c: int, rows: int) -> str:
    if b == c:
        return ""
    return f", {points(abs(b - c) / rows)} {'worse' if b > c else 'better'}"


def _unasked_champion(evidence: ModelEvidence, thresholds: Thresholds) -> Check:
    if evidence.champion_signature is None:
        return _champion_check(Verdict.PASSED, None, thresholds, "no champion yet, so nothing to be worse than")
    detail = f"champion {evidence.champion_name!r} gave no outputs for these rows, so the two were not compared"
    return _champion_check(Verdict.INCONCLUSIVE, None, thresholds, detail)


def _recall_check(verdict: Verdict, figure: float | None, thresholds: Thresholds, detail: str) -> Check:
    return Check(
        name="class recall",
        verdict=verdict,
        figure=figure,
        threshold=thresholds.min_class_recall,
        bound=Bound.AT_LEAST,
        unit=Unit.SHARE,
        detail=detail,
    )


def _champion_check(verdict: Verdict, figure: float | None, thresholds: Thresholds, detail: str) -> Check:
    return Check(
        name="champion",
        verdict=verdict,
        figure=figure,
        threshold=thresholds.champion_alpha,
        bound=Bound.AT_LEAST,
        unit=Unit.NUMBER,
        detail=detail,
    )
