"""What an optimised model is judged by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.errors import FairleadError
from fairlead.gate.checks import check_optimized
from fairlead.gate.evidence import ModelEvidence
from fairlead.gate.optimized import (
    Margins,
    OptimizedEvidence,
    accuracy_kept,
    agreement,
    calibration_kept,
    log_losses,
    speed,
)
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Verdict

Probabilities = NDArray[np.float32]
ROWS = 10_000


def sure(classes: NDArray[np.int64], confidence: float = 0.9) -> Probabilities:
    """Probabilities of a model of two classes that is this sure of each."""
    return np.where(np.eye(2, dtype=bool)[classes], confidence, 1 - confidence).astype(np.float32)


def flipped(truth: NDArray[np.int64], rows: range) -> NDArray[np.int64]:
    """The other class in these rows."""
    changed = truth.copy()
    changed[list(rows)] = 1 - changed[list(rows)]
    return changed


@pytest.fixture
def evidence(model_evidence: Callable[..., ModelEvidence]) -> Callable[..., OptimizedEvidence]:
    """Evidence on an optimised model, as its answers and its original's are given."""

    def build(
        candidate: Probabilities, original: Probabilities, truth: NDArray[np.int64], speedup: float = 2.0
    ) -> OptimizedEvidence:
        shaped = model_evidence(truth, truth, champion=truth)
        model = ModelEvidence(
            labels=shaped.labels,
            truth=truth,
            candidate=candidate,
            native=original,
            champion=original,
            champion_name=shaped.champion_name,
            signature=shaped.signature,
            champion_signature=shaped.signature,
        )
        return OptimizedEvidence(model=model, speedup={1: speedup, 32: speedup + 1})

    return build


@pytest.fixture
def truth() -> NDArray[np.int64]:
    """As many rows of either class."""
    return np.arange(ROWS, dtype=np.int64) % 2


def test_what_answers_the_same_faster_passes_every_check(
    evidence: Callable[..., OptimizedEvidence], truth: NDArray[np.int64]
) -> None:
    """A figure that equals its margin passes."""
    found = evidence(sure(truth), sure(truth), truth, speedup=1.2)
    report = check_optimized(found, Margins(), Thresholds())

    assert report.verdict is Verdict.PASSED
    assert agreement(found) == 1.0


@pytest.mark.parametrize(
    ("lost", "won", "verdict"),
    [(0, 0, Verdict.PASSED), (5, 5, Verdict.PASSED), (10, 2, Verdict.INCONCLUSIVE), (200, 0, Verdict.FAILED)],
)
def test_a_loss_of_accuracy_must_be_ruled_out(
    evidence: Callable[..., OptimizedEvidence], truth: NDArray[np.int64], lost: int, won: int, verdict: Verdict
) -> None:
    """A tenth of a point of 10,000 rows: what the rows cannot tell is no pass, and what they show is a failure."""
    candidate, original = flipped(truth, range(lost)), flipped(truth, range(lost, lost + won))
    check = accuracy_kept(evidence(sure(candidate), sure(original), truth), Margins())

    assert check.verdict is verdict
    assert ("more rows or a wider margin" in check.detail) is (verdict is Verdict.INCONCLUSIVE)


def test_few_rows_prove_no_small_loss(evidence: Callable[..., OptimizedEvidence], truth: NDArray[np.int64]) -> None:
    """With 500 rows that agree, half a point could be lost and would not be seen."""
    few = truth[:500]
    check = accuracy_kept(evidence(sure(few), sure(few), few), Margins())

    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.figure == pytest.approx(0.0054, abs=1e-4)
    assert accuracy_kept(evidence(sure(few), sure(few), few), Margins(accuracy_loss=0.01)).verdict is Verdict.PASSED


def test_being_surer_of_the_same_mistakes_fails(
    evidence: Callable[..., OptimizedEvidence], truth: NDArray[np.int64]
) -> None:
    """Accuracy cannot see it."""
    predicted = flipped(truth, range(1000))
    report = check_optimized(
        evidence(sure(predicted, 0.9999), sure(predicted, 0.9), truth), Margins(), Thresholds(min_accuracy=0.8)
    )

    assert [check.name for check in report.failures] == ["calibration"]
    assert "expected calibration error 9.99%, the original's 0.00%" in report.failures[0].detail


def test_it_must_be_faster_where_it_gains_the_least(
    evidence: Callable[..., OptimizedEvidence], truth: NDArray[np.int64]
) -> None:
    """A batch that gains twice does not make up for single rows that gain nothing."""
    check = speed(evidence(sure(truth), sure(truth), truth, speedup=1.0), Margins())

    assert (check.verdict, check.figure) == (Verdict.FAILED, 1.0)
    assert (
        check.detail
        == "rows a second, of the original's: 1.00 times with 1 rows a call, 2.00 times with 32 rows a call"
    )


def test_answers_that_are_no_numbers_cost_as_much_as_can_be(
    evidence: Callable[..., OptimizedEvidence], truth: NDArray[np.int64]
) -> None:
    """They are neither right nor a reason to fail in another way."""
    broken = np.full((ROWS, 2), np.nan, np.float32)
    report = check_optimized(evidence(broken, sure(truth), truth), Margins(), Thresholds())

    assert {"probabilities", "accuracy", "calibration"} <= {check.name for check in report.failures}
    assert log_losses(broken, truth)[0] == pytest.approx(16.1, abs=0.1)
    assert calibration_kept(evidence(broken, sure(truth), truth), Margins()).figure is not None


@pytest.mark.parametrize("margin", [{"accuracy_loss": 1.0}, {"log_loss_rise": -1.0}, {"least_speedup": 0.0}])
def test_margins_that_mean_nothing_are_refused(margin: dict[str, float]) -> None:
    """They would let everything pass, or nothing."""
    with pytest.raises(FairleadError):
        Margins(**margin)
