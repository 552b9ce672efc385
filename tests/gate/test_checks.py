"""The model gate as a whole: what must never get through, and how often it errs."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.gate import quality
from fairlead.gate.checks import check_model
from fairlead.gate.evidence import ModelEvidence
from fairlead.gate.table import table
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Report, Verdict

Build = Callable[..., ModelEvidence]
DEFAULTS = Thresholds()
DIGITS = tuple("0123456789")
NAMES = [
    "signature",
    "probabilities",
    "export",
    "accuracy",
    "class recall",
    "collapse",
    "silent classes",
    "champion",
]


def guesses(truth: NDArray[np.int64], accuracy: float, classes: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Predictions that are right with that chance on each row, independently, and else some other class."""
    wrong = rng.random(len(truth)) >= accuracy
    return np.where(wrong, (truth + rng.integers(1, classes, len(truth))) % classes, truth)


def reasons(report: Report) -> str:
    """What the failed checks say."""
    return " | ".join(f"{check.name}: {check.detail}" for check in report.failures)


def test_a_good_model_passes_every_check(model_evidence: Build) -> None:
    """A model that is right on 98 rows in 100, beside an equal champion, passes each of the eight checks."""
    rng = np.random.default_rng(1)
    truth = np.arange(2000) % 10
    evidence = model_evidence(
        truth, guesses(truth, 0.985, 10, rng), champion=guesses(truth, 0.985, 10, rng), labels=DIGITS
    )

    report = check_model(evidence, DEFAULTS)

    assert [check.name for check in report.checks] == NAMES
    assert {check.verdict for check in report.checks} == {Verdict.PASSED}, table(report)


def test_equally_good_models_are_rarely_told_apart(model_evidence: Build) -> None:
    """Of 1,000 pairs of equally good models about alpha or fewer fail the champion check."""
    rng = np.random.default_rng(2)
    truth = np.arange(2000) % 2

    failed = sum(
        quality.champion(
            model_evidence(truth, guesses(truth, 0.97, 2, rng), champion=guesses(truth, 0.97, 2, rng)), DEFAULTS
        ).verdict
        is Verdict.FAILED
        for _ in range(1000)
    )

    # 1,000 fair draws at 5 % exceed 71 in one suite of a thousand; the exact test stays below its alpha.
    assert 10 <= failed <= 71


def test_a_model_three_points_worse_is_refused(model_evidence: Build) -> None:
    """Of 200 candidates three points worse than a 97 % champion, on 2,000 rows, at least 95 % fail that check."""
    rng = np.random.default_rng(3)
    truth = np.arange(2000) % 2

    failed = sum(
        quality.champion(
            model_evidence(truth, guesses(truth, 0.94, 2, rng), champion=guesses(truth, 0.97, 2, rng)), DEFAULTS
        ).verdict
        is Verdict.FAILED
        for _ in range(200)
    )

    assert failed >= 190


def test_a_model_trained_on_shuffled_labels_is_always_refused(model_evidence: Build) -> None:
    """100 of 100 models whose answers have nothing to do with the truth fail, by accuracy and by class."""
    rng = np.random.default_rng(4)
    truth = np.arange(2000) % 10

    for _ in range(100):
        report = check_model(model_evidence(truth, rng.permutation(truth), labels=DIGITS), DEFAULTS)
        assert report.verdict is Verdict.FAILED
        assert {"accuracy", "class recall"} <= {check.name for check in report.failures}
        assert "points below the floor" in reasons(report)


@given(counts=st.lists(st.integers(20, 400), min_size=2, max_size=6), data=st.data())
def test_a_constant_answer_never_passes(model_evidence: Build, counts: list[int], data: st.DataObject) -> None:
    """Whatever the classes' shares and however low the other floors, one answer for every row is refused by name."""
    truth = np.repeat(np.arange(len(counts)), counts)
    constant = data.draw(st.integers(0, len(counts) - 1))
    lenient = Thresholds(min_accuracy=0.0, min_class_recall=0.0)

    report = check_model(model_evidence(truth, np.full(len(truth), constant), labels=DIGITS[: len(counts)]), lenient)

    assert "silent classes: never predicted though often true" in reasons(report)


@pytest.mark.parametrize("constant", [0, 1])
def test_a_constant_answer_on_balanced_data_is_a_collapse(model_evidence: Build, constant: int) -> None:
    """One answer for every row of two equal classes fails as a collapse too."""
    report = check_model(model_evidence([0, 1] * 1000, [constant] * 2000), DEFAULTS)

    assert f"collapse: class {('ham', 'spam')[constant]!r} is 100.00% of the predictions" in reasons(report)


def test_held_out_rows_of_one_class_never_pass(model_evidence: Build) -> None:
    """A perfect score on held-out rows of one class leaves the other class unjudged."""
    report = check_model(model_evidence([0] * 2000, [0] * 2000), DEFAULTS)

    assert report.verdict is Verdict.INCONCLUSIVE
    assert "too few rows to judge 'spam'" in table(report)


def test_no_held_out_rows_fail(model_evidence: Build) -> None:
    """A model judged on nothing fails and says so; its signature is still compared."""
    report = check_model(model_evidence([], [], champion=[]), DEFAULTS)

    assert report.verdict is Verdict.FAILED
    assert (report.checks[0].figure, report.checks[0].threshold, str(report.checks[0].bound)) == (0, 300, "at least")
    assert reasons(report).startswith("held-out rows: there are no held-out rows")
    assert [check.name for check in report.checks] == ["held-out rows", "signature"]


@given(rows=st.integers(1, 299))
def test_a_perfect_model_on_few_rows_is_inconclusive(model_evidence: Build, rows: int) -> None:
    """Too few held-out rows never pass, however right the model is."""
    truth = np.arange(rows) % 2

    assert check_model(model_evidence(truth, truth, champion=truth), DEFAULTS).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("share", [0.001, 1.0])
def test_outputs_that_are_not_finite_fail_with_their_reason(model_evidence: Build, poison: float, share: float) -> None:
    """One poisoned row, or all of them, fail by name; nothing is raised and the report is still JSON and a table."""
    truth = np.arange(1000) % 2
    evidence = model_evidence(truth, truth, champion=truth)
    outputs = evidence.candidate.copy()
    outputs[: int(share * 1000), 0] = poison

    report = check_model(replace(evidence, candidate=outputs, native=outputs), DEFAULTS)

    assert f"probabilities: 1,000 rows of outputs include {int(share * 1000):,} with NaN or infinity" in reasons(report)
    assert "export: outputs before or after export hold NaN" in reasons(report)
    assert json.dumps(report.to_json(), allow_nan=False)
    assert "NaN" in table(report)


@given(moved=st.integers(0, 120), wrong=st.integers(0, 120), faulty=st.integers(0, 2), renamed=st.booleans())
def test_what_is_shown_agrees_with_the_verdict(
    model_evidence: Build, moved: int, wrong: int, faulty: int, renamed: bool
) -> None:
    """A figure on the passing side of the shown bound never failed, and one on the other side never passed."""
    truth = np.arange(400) % 2
    predicted = truth.copy()
    predicted[:moved] = 1
    predicted[400 - wrong :] ^= 1
    evidence = model_evidence(truth, predicted, champion=truth)
    outputs = evidence.candidate.copy()
    outputs[:faulty] *= 2
    was = replace(evidence.signature, inputs=evidence.signature.outputs) if renamed else evidence.signature

    report = check_model(replace(evidence, candidate=outputs, champion_signature=was), DEFAULTS)

    assert all(
        check.bound.judge(check.figure, check.threshold) is check.verdict
        for check in report.checks
        if check.figure is not None and check.threshold is not None
    )


def test_a_champion_of_nan_does_not_hide_a_bad_candidate(model_evidence: Build) -> None:
    """A champion's poisoned rows count as its errors and spare the candidate nothing else."""
    truth = np.arange(1000) % 2
    evidence = model_evidence(truth, 1 - truth, champion=truth)

    report = check_model(replace(evidence, champion=np.full_like(evidence.candidate, np.nan)), DEFAULTS)

    assert "champion" not in {check.name for check in report.failures}
    assert "accuracy" in {check.name for check in report.failures}


def test_a_reader_sees_what_failed_and_by_how_much(model_evidence: Build) -> None:
    """The table of a bad candidate names the check, the figure, the threshold and the distance."""
    truth = np.arange(1000) % 2
    predicted = truth.copy()
    predicted[:100] = 1

    shown = table(check_model(model_evidence(truth, predicted, champion=truth), DEFAULTS), width=200)

    row = next(line for line in shown.splitlines() if line.startswith("accuracy"))
    assert row.split()[:6] == ["accuracy", "95.00%", "at", "least", "97.00%", "failed"]
    assert row.endswith("2 points below the floor")
    assert shown.splitlines()[-1] == "failed: 6 passed, 2 failed"
