"""A data set is refused with a named reason before anything is trained on it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.gate import data
from fairlead.gate.checks import check_data
from fairlead.gate.evidence import DataEvidence
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Verdict

LINES = Thresholds(min_train_rows=200, min_train_rows_per_class=20, min_held_out_rows=300)
GOOD = DataEvidence(
    labels=("ham", "spam"), train_counts=(900, 300), held_out_counts=(200, 100), overlap=0, non_finite=0
)


def test_a_good_data_set_passes_every_check() -> None:
    """Enough finite rows of every class on both sides, none shared, pass."""
    report = check_data(GOOD, LINES)

    assert report.verdict is Verdict.PASSED
    assert {check.verdict for check in report.checks} == {Verdict.PASSED}


@pytest.mark.parametrize(
    ("counts", "verdict", "detail"),
    [
        ((100, 100), Verdict.PASSED, "there are 200 training rows"),
        ((100, 99), Verdict.FAILED, "the number of training rows is 199, 1 fewer than the 200 needed"),
        ((0, 1), Verdict.FAILED, "the number of training rows is 1, 199 fewer than the 200 needed"),
        ((0, 0), Verdict.FAILED, "there are no training rows"),
    ],
)
def test_training_needs_rows(counts: tuple[int, ...], verdict: Verdict, detail: str) -> None:
    """Training rows reach their floor, or the check fails and says how many are missing."""
    check = data.training_rows(replace(GOOD, train_counts=counts), LINES)

    assert (check.verdict, check.figure, check.detail) == (verdict, sum(counts), detail)


@pytest.mark.parametrize(
    ("labels", "counts", "verdict", "detail"),
    [
        (("a", "b", "c"), (1, 1, 1), Verdict.PASSED, "training rows cover all 3 classes"),
        (("a", "b", "c"), (500, 0, 0), Verdict.FAILED, "training rows cover 1 of 3 classes; missing: 'b', 'c'"),
        (("a", "b"), (0, 0), Verdict.FAILED, "training rows cover 0 of 2 classes; missing: 'a', 'b'"),
        (("a",), (500,), Verdict.FAILED, "'a' is the only class, and there is nothing to tell it from"),
    ],
)
def test_training_needs_every_class(
    labels: tuple[str, ...], counts: tuple[int, ...], verdict: Verdict, detail: str
) -> None:
    """Every declared class has training rows, there are at least two, and missing ones are named."""
    evidence = replace(GOOD, labels=labels, train_counts=counts, held_out_counts=(300,) * len(labels))

    check = data.training_classes(evidence)

    assert (check.verdict, check.detail) == (verdict, detail)


@pytest.mark.parametrize(
    ("counts", "verdict", "detail"),
    [
        ((900, 20), Verdict.PASSED, "there are 20 training rows of class 'spam'"),
        ((900, 19), Verdict.FAILED, "the number of training rows of class 'spam' is 19, 1 fewer than the 20 needed"),
        ((0, 900), Verdict.FAILED, "there are no training rows of class 'ham'"),
    ],
)
def test_training_needs_rows_of_the_scarcest_class(counts: tuple[int, ...], verdict: Verdict, detail: str) -> None:
    """The class with the fewest training rows reaches the floor, or is named with what it lacks."""
    check = data.training_rows_per_class(replace(GOOD, train_counts=counts), LINES)

    assert (check.verdict, check.figure, check.detail) == (verdict, min(counts), detail)


@pytest.mark.parametrize(
    ("counts", "verdict", "detail"),
    [
        ((200, 100), Verdict.PASSED, "there are 300 held-out rows"),
        ((200, 99), Verdict.INCONCLUSIVE, "the number of held-out rows is 299, 1 fewer than the 300 needed"),
        ((0, 0), Verdict.FAILED, "there are no held-out rows"),
    ],
)
def test_judging_needs_rows(counts: tuple[int, ...], verdict: Verdict, detail: str) -> None:
    """Too few held-out rows leave the question open; none at all fail."""
    check = data.held_out_rows(replace(GOOD, held_out_counts=counts), LINES)

    assert (check.verdict, check.figure, check.detail) == (verdict, sum(counts), detail)


@pytest.mark.parametrize(
    ("counts", "verdict", "detail"),
    [
        ((300, 20), Verdict.PASSED, "there are 20 held-out rows of class 'spam'"),
        (
            (300, 19),
            Verdict.INCONCLUSIVE,
            "the number of held-out rows of class 'spam' is 19, 1 fewer than the 20 needed",
        ),
        ((300, 0), Verdict.FAILED, "there are no held-out rows of class 'spam'"),
        ((0, 0), Verdict.FAILED, "there are no held-out rows of class 'ham', 'spam'"),
    ],
)
def test_judging_needs_rows_of_every_class(counts: tuple[int, ...], verdict: Verdict, detail: str) -> None:
    """A class with too few held-out rows leaves the question open; one with none fails by name."""
    check = data.held_out_rows_per_class(replace(GOOD, held_out_counts=counts), LINES)

    assert (check.verdict, check.figure, check.detail) == (verdict, min(counts), detail)


@pytest.mark.parametrize(("overlap", "verdict"), [(0, Verdict.PASSED), (1, Verdict.FAILED), (300, Verdict.FAILED)])
def test_no_held_out_row_was_trained_on(overlap: int, verdict: Verdict) -> None:
    """A single held-out row in the training set fails, and the number of such rows is told."""
    check = data.overlap(replace(GOOD, overlap=overlap))

    assert (check.verdict, check.figure) == (verdict, overlap)
    assert check.detail == f"the training set shares {overlap} of the 300 held-out rows"


@pytest.mark.parametrize("empty", ["train_counts", "held_out_counts"])
def test_an_empty_set_overlaps_with_nothing_and_proves_nothing(empty: str) -> None:
    """With no rows on one side there was nothing to compare, which is no pass."""
    check = data.overlap(replace(GOOD, **{empty: (0, 0)}))  # type: ignore[arg-type]  # the name is of a counts field

    assert (check.verdict, check.figure) == (Verdict.INCONCLUSIVE, None)


@pytest.mark.parametrize(("count", "verdict"), [(0, Verdict.PASSED), (1, Verdict.FAILED)])
def test_every_number_is_finite(count: int, verdict: Verdict) -> None:
    """A single NaN or infinity fails, and the number of them is told."""
    check = data.finite_values(replace(GOOD, non_finite=count))

    assert (check.verdict, check.figure) == (verdict, count)
    assert check.detail == f"the number of NaN or infinite values in 1,500 rows is {count}"


@pytest.mark.parametrize(
    ("train", "held_out", "verdict"),
    [
        ((0, 0), (0, 0), Verdict.INCONCLUSIVE),
        ((1, 0), (0, 0), Verdict.PASSED),
        ((0, 0), (1, 0), Verdict.PASSED),
    ],
)
def test_no_rows_hold_no_numbers(train: tuple[int, ...], held_out: tuple[int, ...], verdict: Verdict) -> None:
    """Where both sets are empty no number was looked at, which is no pass."""
    check = data.finite_values(replace(GOOD, train_counts=train, held_out_counts=held_out))

    assert check.verdict is verdict
    assert (check.figure is None) == (verdict is Verdict.INCONCLUSIVE)


@given(
    train=st.tuples(st.integers(0, 250), st.integers(0, 40)),
    held_out=st.tuples(st.integers(1, 350), st.integers(0, 40)),
    overlap=st.integers(0, 1),
    non_finite=st.integers(0, 1),
)
def test_what_is_shown_agrees_with_the_verdict(
    train: tuple[int, int], held_out: tuple[int, int], overlap: int, non_finite: int
) -> None:
    """A check passes exactly when its figure is on the passing side of the bound it shows."""
    evidence = replace(GOOD, train_counts=train, held_out_counts=held_out, overlap=overlap, non_finite=non_finite)

    for check in check_data(evidence, LINES).checks:
        assert check.threshold is not None
        holds = check.figure is not None and check.bound.judge(check.figure, check.threshold) is Verdict.PASSED
        assert holds == (check.verdict is Verdict.PASSED)


def test_empty_data_fails_and_nothing_of_it_passes() -> None:
    """An empty data set fails with its reasons, and not one check on it passes."""
    nothing = replace(GOOD, train_counts=(0, 0), held_out_counts=(0, 0))

    report = check_data(nothing, LINES)

    assert report.verdict is Verdict.FAILED
    assert Verdict.PASSED not in {check.verdict for check in report.checks}
    assert "there are no training rows" in {check.detail for check in report.failures}


def test_thin_held_out_data_is_inconclusive() -> None:
    """A good training set with too few held-out rows neither passes nor fails."""
    assert check_data(replace(GOOD, held_out_counts=(30, 30)), LINES).verdict is Verdict.INCONCLUSIVE
