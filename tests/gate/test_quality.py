"""How good a candidate's answers are."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.gate import quality
from fairlead.gate.evidence import ModelEvidence
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Verdict

Build = Callable[..., ModelEvidence]
DEFAULTS = Thresholds()
LINES = Thresholds(min_held_out_rows=100, min_held_out_rows_per_class=20)


def confusion(*cells: tuple[int, int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Truth and predictions from (true class, predicted class, rows) triples."""
    truth = np.repeat([true for true, _, _ in cells], [rows for *_, rows in cells])
    predicted = np.repeat([guess for _, guess, _ in cells], [rows for *_, rows in cells])
    return truth, predicted


@pytest.mark.parametrize(("wrong", "verdict"), [(0, Verdict.PASSED), (30, Verdict.PASSED), (31, Verdict.FAILED)])
def test_accuracy_reaches_its_floor(model_evidence: Build, wrong: int, verdict: Verdict) -> None:
    """970 of 1,000 rows right are exactly 97 % and pass; one fewer fails."""
    evidence = model_evidence(*confusion((0, 0, 500 - wrong), (0, 1, wrong), (1, 1, 500)))

    check = quality.accuracy(evidence, DEFAULTS)

    assert (check.verdict, check.figure) == (verdict, (1000 - wrong) / 1000)
    assert ("below the floor" in check.detail) == (verdict is Verdict.FAILED)


def test_a_missed_accuracy_floor_says_by_how_much(model_evidence: Build) -> None:
    """A failed accuracy tells the count, the 95 % interval and the distance from the floor."""
    evidence = model_evidence(*confusion((0, 0, 962), (0, 1, 38), (1, 1, 1000)))

    check = quality.accuracy(replace(evidence), Thresholds(min_accuracy=0.99))

    assert check.detail == ("right on 1,962 of 2,000 rows, 95% interval 97.40% to 98.61%, 0.9 points below the floor")


@pytest.mark.parametrize(("rows", "verdict"), [(99, Verdict.INCONCLUSIVE), (100, Verdict.PASSED)])
def test_accuracy_on_few_rows_is_open(model_evidence: Build, rows: int, verdict: Verdict) -> None:
    """A perfect score on too few rows is no pass, and the missing rows are told."""
    check = quality.accuracy(model_evidence([0] * rows, [0] * rows), LINES)

    assert check.verdict is verdict
    assert ("99 of the 100 rows needed to judge by" in check.detail) == (verdict is Verdict.INCONCLUSIVE)


def test_a_row_that_is_nan_is_wrong(model_evidence: Build) -> None:
    """A row of NaN counts as wrong, whichever class it belongs to."""
    evidence = model_evidence([0, 1] * 100, [0, 1] * 100)
    outputs = evidence.candidate.copy()
    outputs[:10] = np.nan

    assert quality.accuracy(replace(evidence, candidate=outputs), LINES).figure == 190 / 200


@pytest.mark.parametrize(("wrong", "verdict"), [(10, Verdict.PASSED), (11, Verdict.FAILED)])
def test_the_worst_class_reaches_its_floor(model_evidence: Build, wrong: int, verdict: Verdict) -> None:
    """90 of 100 rows of the worst class are exactly 90 % and pass; one fewer fails, however good the rest is."""
    evidence = model_evidence(*confusion((0, 0, 900), (1, 1, 100 - wrong), (1, 0, wrong)))

    check = quality.class_recall(evidence, LINES)

    assert (check.verdict, check.figure) == (verdict, (100 - wrong) / 100)
    assert f"the worst class, 'spam', is recognised on {100 - wrong} of its 100 rows" in check.detail
    assert ("1 point below the floor" in check.detail) == (verdict is Verdict.FAILED)


def test_the_worst_class_is_worst_by_share(model_evidence: Build) -> None:
    """The worst class is the one with the lowest recall, not the one with the most errors."""
    evidence = model_evidence(*confusion((0, 0, 980), (0, 1, 20), (1, 1, 35), (1, 0, 5)))

    assert quality.class_recall(evidence, LINES).figure == 35 / 40


@pytest.mark.parametrize(("rows", "verdict"), [(20, Verdict.PASSED), (19, Verdict.INCONCLUSIVE)])
def test_a_class_with_few_rows_leaves_recall_open(model_evidence: Build, rows: int, verdict: Verdict) -> None:
    """A class with fewer rows than needed keeps the check open, and is named."""
    check = quality.class_recall(model_evidence(*confusion((0, 0, 200), (1, 1, rows))), LINES)

    assert check.verdict is verdict
    assert ("too few rows to judge 'spam'" in check.detail) == (verdict is Verdict.INCONCLUSIVE)


def test_a_failing_class_fails_beside_a_short_one(model_evidence: Build) -> None:
    """One class below its floor fails the check even where another has too few rows."""
    evidence = model_evidence(*confusion((0, 0, 50), (0, 1, 50), (1, 1, 3)))

    check = quality.class_recall(evidence, LINES)

    assert (check.verdict, check.figure) == (Verdict.FAILED, 0.5)
    assert check.detail.endswith("40 points below the floor; too few rows to judge 'spam'")


def test_recall_without_any_class_to_judge_is_open(model_evidence: Build) -> None:
    """Where no class has enough rows there is no figure and no verdict."""
    check = quality.class_recall(model_evidence(*confusion((0, 0, 19), (1, 0, 19))), LINES)

    assert (check.verdict, check.figure) == (Verdict.INCONCLUSIVE, None)
    assert check.detail == "too few rows to judge 'ham', 'spam'"


@pytest.mark.parametrize(("moved", "verdict"), [(0, Verdict.PASSED), (100, Verdict.PASSED), (101, Verdict.FAILED)])
def test_a_class_may_be_predicted_somewhat_too_often(model_evidence: Build, moved: int, verdict: Verdict) -> None:
    """A predicted share exactly ten points above the true one passes; one row more fails."""
    evidence = model_evidence(*confusion((0, 0, 600), (1, 0, moved), (1, 1, 400 - moved)))

    check = quality.collapse(evidence, DEFAULTS)

    assert (check.verdict, check.figure) == (verdict, moved / 1000)
    assert ("more than allowed" in check.detail) == (verdict is Verdict.FAILED)


def test_a_collapse_names_the_class_and_the_excess(model_evidence: Build) -> None:
    """A collapse tells both shares of the class and the distance from what is allowed."""
    check = quality.collapse(model_evidence([0, 1] * 200, [1] * 400), DEFAULTS)

    assert check.verdict is Verdict.FAILED
    assert check.detail == (
        "class 'spam' is 100.00% of the predictions and 50.00% of the truth, 40 points more than allowed"
    )


def test_collapse_looks_at_the_excess_not_at_the_biggest_class(model_evidence: Build) -> None:
    """A small class that swallows others is found beside a bigger one that is predicted as often as it occurs."""
    truth, predicted = confusion((0, 0, 500), (1, 1, 200), (2, 1, 150), (2, 2, 150))

    check = quality.collapse(model_evidence(truth, predicted, labels=("a", "b", "c")), DEFAULTS)

    assert (check.verdict, check.figure) == (Verdict.FAILED, 0.15)
    assert "class 'b' is 35.00% of the predictions and 20.00% of the truth" in check.detail


@pytest.mark.parametrize("predicted", [0, 1])
def test_collapse_on_few_rows_is_open(model_evidence: Build, predicted: int) -> None:
    """Shares of too few rows neither pass nor fail."""
    check = quality.collapse(model_evidence([0] * 99, [predicted] * 99), LINES)

    assert check.verdict is Verdict.INCONCLUSIVE
    assert "99 of the 100 rows needed" in check.detail


@pytest.mark.parametrize(("hits", "verdict"), [(1, Verdict.PASSED), (0, Verdict.FAILED)])
def test_a_class_that_occurs_is_predicted(model_evidence: Build, hits: int, verdict: Verdict) -> None:
    """One prediction of a class breaks its silence; none at all, with enough rows, fails by name."""
    evidence = model_evidence(*confusion((0, 0, 980), (1, 0, 20 - hits), (1, 1, hits)))

    check = quality.silent_classes(evidence, LINES)

    assert (check.verdict, check.figure) == (verdict, 1 - hits)
    assert (check.threshold, str(check.bound)) == (0, "at most")
    assert ("never predicted though often true: 'spam'" in check.detail) == (verdict is Verdict.FAILED)


@pytest.mark.parametrize(("rows", "verdict"), [(0, Verdict.INCONCLUSIVE), (19, Verdict.INCONCLUSIVE)])
def test_silence_on_few_rows_is_open(model_evidence: Build, rows: int, verdict: Verdict) -> None:
    """A class never predicted that has too few rows, or none, proves nothing either way."""
    check = quality.silent_classes(model_evidence([0] * 200 + [1] * rows, [0] * (200 + rows)), LINES)

    assert check.verdict is verdict
    assert "on too few rows to mind: 'spam'" in check.detail


def test_a_silent_class_fails_beside_an_unknown_one(model_evidence: Build) -> None:
    """A class that is certainly silent fails the check even where another is in doubt."""
    evidence = model_evidence([0] * 100 + [1] * 50, [0] * 150, labels=("a", "b", "c"))

    check = quality.silent_classes(evidence, LINES)

    assert check.verdict is Verdict.FAILED
    assert check.detail == "never predicted though often true: 'b'; never predicted, on too few rows to mind: 'c'"


def disagreement(b: int, c: int, rows: int) -> dict[str, NDArray[np.int64]]:
    """Rows of class 0 of which only the champion is right on b, only the candidate on c, and both on the rest."""
    predicted, champion = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    predicted[:b] = 1
    champion[b : b + c] = 1
    return {"truth": np.zeros(rows, dtype=np.int64), "predicted": predicted, "champion": champion}


@pytest.mark.parametrize(("alpha", "verdict"), [(2**-5, Verdict.PASSED), (2**-5 + 1e-9, Verdict.FAILED)])
def test_a_p_value_at_alpha_passes(model_evidence: Build, alpha: float, verdict: Verdict) -> None:
    """Five losses and no win have p = 1/32 exactly, which passes at that alpha and fails at any larger."""
    lines = replace(LINES, champion_alpha=alpha)

    check = quality.champion(model_evidence(**disagreement(5, 0, 100)), lines)

    assert (check.verdict, check.figure, check.threshold) == (verdict, 2**-5, alpha)


def test_a_worse_candidate_says_by_how_much(model_evidence: Build) -> None:
    """A candidate that loses tells both accuracies, the distance, both counts and the p-value."""
    check = quality.champion(model_evidence(**disagreement(12, 2, 500)), DEFAULTS)

    assert check.verdict is Verdict.FAILED
    assert check.detail == (
        "candidate 97.60%, champion 'messages/3' 99.60%, 2 points worse; only the champion is right: b = 12, "
        "only the candidate: c = 2; by luck alone: p = 0.00647"
    )


def test_a_better_candidate_passes(model_evidence: Build) -> None:
    """A candidate that wins passes with a p-value near 1."""
    check = quality.champion(model_evidence(**disagreement(2, 12, 500)), DEFAULTS)

    assert check.verdict is Verdict.PASSED
    assert check.figure == pytest.approx(0.99908, abs=1e-5)
    assert "2 points better" in check.detail


def test_identical_models_pass(model_evidence: Build) -> None:
    """A candidate that answers as the champion does is not worse."""
    check = quality.champion(model_evidence(**disagreement(0, 0, 500)), DEFAULTS)

    assert (check.verdict, check.figure) == (Verdict.PASSED, 1.0)


def test_the_first_model_has_no_champion_to_beat(model_evidence: Build) -> None:
    """Without a champion the check passes, has no figure and says why."""
    check = quality.champion(model_evidence([0] * 500, [0] * 500), DEFAULTS)

    assert (check.verdict, check.figure) == (Verdict.PASSED, None)
    assert "no champion yet" in check.detail


def test_a_champion_that_was_not_asked_leaves_the_question_open(model_evidence: Build) -> None:
    """A champion that exists but gave no outputs is not the same as none: nothing says who is better."""
    evidence = replace(model_evidence(**disagreement(0, 0, 500)), champion=None)

    check = quality.champion(evidence, DEFAULTS)

    assert (check.verdict, check.figure) == (Verdict.INCONCLUSIVE, None)
    assert "champion 'messages/3' gave no outputs" in check.detail


@pytest.mark.parametrize(
    ("b", "rows", "verdict"), [(0, 99, Verdict.INCONCLUSIVE), (0, 100, Verdict.PASSED), (10, 99, Verdict.FAILED)]
)
def test_few_rows_can_fail_a_candidate_but_not_pass_it(
    model_evidence: Build, b: int, rows: int, verdict: Verdict
) -> None:
    """On too few rows a significant loss still fails, and anything else is left open."""
    check = quality.champion(model_evidence(**disagreement(b, 0, rows)), LINES)

    assert check.verdict is verdict
    assert ("rows needed to judge by" in check.detail) == (verdict is Verdict.INCONCLUSIVE)
