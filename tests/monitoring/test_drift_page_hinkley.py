"""The sequential detector, held against its definition row by row and against the run length that it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fairlead.errors import FairleadError
from fairlead.monitoring.drift.page_hinkley import Change, Direction, PageHinkley, Sums, advance, normal_scores
from fairlead.monitoring.drift.reference import NumericReference

NORMAL = NumericReference.describe("x", np.random.default_rng(0).standard_normal(100_000))


def row_by_row(scores: NDArray[np.float64], detector: PageHinkley) -> Change | None:
    """The definition, as Page wrote it down: two sums that never fall below 0."""
    up = down = 0.0
    up_since = down_since = 0
    for row, score in enumerate(scores):
        up, down = up + score - detector.slack, down - score - detector.slack
        if up <= 0.0:
            up, up_since = 0.0, row + 1
        if down <= 0.0:
            down, down_since = 0.0, row + 1
        if max(up, down) > detector.threshold:
            is_up = up >= down
            began, direction = (up_since, Direction.UP) if is_up else (down_since, Direction.DOWN)
            return Change(row=row, began=began, direction=direction)
    return None


@given(
    seed=st.integers(0, 10_000),
    shift=st.floats(-1, 1),
    slack=st.floats(0.05, 1.0),
    threshold=st.floats(1.0, 30.0),
    cuts=st.lists(st.integers(1, 399), max_size=5),
)
def test_the_sums_are_those_of_the_definition(
    seed: int, shift: float, slack: float, threshold: float, cuts: list[int]
) -> None:
    """Computed in one sweep, or in pieces cut anywhere, the change is the one that the loop over the rows finds."""
    scores = np.random.default_rng(seed).standard_normal(400) + np.where(np.arange(400) < 200, 0.0, shift)
    detector = PageHinkley(slack=slack, threshold=threshold)

    sums = Sums()
    for piece in np.split(scores, sorted(cuts)):
        sums = advance(sums, piece, detector)

    assert sums.change == row_by_row(scores, detector)


@pytest.mark.parametrize(("shift", "direction"), [(0.4, Direction.UP), (-0.4, Direction.DOWN)])
def test_both_directions_are_found_and_the_row_is_named(shift: float, direction: Direction) -> None:
    """In nine of ten streams the row that is named lies within 150 rows of the true one."""
    detector = PageHinkley.tuned(reference_rows=NORMAL.rows)
    off = []
    for seed in range(60):
        values = np.random.default_rng(seed).standard_normal(3_000) + np.where(np.arange(3_000) < 1_500, 0.0, shift)
        change = advance(Sums(), normal_scores(NORMAL, values), detector).change
        assert change is not None
        assert change.direction is direction
        off.append(abs(change.began - 1_500))

    assert np.quantile(off, 0.9) < 150


def test_the_run_between_false_alarms_is_about_the_one_asked_for() -> None:
    """One alarm in 2,000 rows asked for: the mean of many quiet runs is between 1,600 and 3,200."""
    detector = PageHinkley.tuned(quiet_rows=2_000, reference_rows=10**9)
    rng = np.random.default_rng(3)
    runs = []
    for _ in range(400):
        sums, row = Sums(), 0
        while sums.change is None:
            sums = advance(sums, rng.standard_normal(5_000), detector)
            row += 5_000
        runs.append(sums.change.row)

    assert 1_600 < np.mean(runs) < 3_200


def test_rows_that_resemble_each_other_need_more() -> None:
    """The threshold grows with the inflation, and with a reference of few rows."""
    usual = PageHinkley.tuned(reference_rows=10_000)

    assert PageHinkley.tuned(reference_rows=10_000, inflation=4.0).threshold > 3.0 * usual.threshold
    assert PageHinkley.tuned(reference_rows=400).threshold > usual.threshold


@pytest.mark.parametrize("law", ["normal", "lognormal", "exponential", "uniform"])
def test_scores_are_standard_whatever_the_law(law: str) -> None:
    """Quiet values score with mean 0 and variance 1, however skewed they are, and an outlier scores no more than 3."""
    rng = np.random.default_rng(8)
    draw = getattr(rng, law)
    reference = NumericReference.describe("x", draw(size=100_000))

    scores = normal_scores(reference, draw(size=100_000))

    assert scores.mean() == pytest.approx(0.0, abs=0.015)
    assert scores.std() == pytest.approx(1.0, abs=0.015)
    assert np.abs(normal_scores(reference, [1e9, -1e9])).max() < 3.0


def test_a_null_says_nothing() -> None:
    """It scores 0 and keeps its row, so that the rows of a change stay those of the stream."""
    assert normal_scores(NORMAL, [None, "n/a", float("nan")]).tolist() == [0.0, 0.0, 0.0]


@settings(deadline=None)
@given(values=st.lists(st.integers(-3, 3) | st.floats(-3, 3), min_size=11, max_size=60))
def test_scores_rise_with_the_values(values: list[float]) -> None:
    """Of two values the greater never scores less, with ties or without."""
    reference = NumericReference.describe("x", values, quantiles=21)

    scores = normal_scores(reference, sorted(values))

    assert (np.diff(scores) >= -1e-9).all()


@pytest.mark.parametrize(("slack", "threshold"), [(0.0, 1.0), (0.1, 0.0), (float("nan"), 1.0), (0.1, float("inf"))])
def test_a_detector_that_could_not_work_is_refused(slack: float, threshold: float) -> None:
    """Without slack, or without a threshold, it would alarm for ever or never."""
    with pytest.raises(FairleadError):
        PageHinkley(slack=slack, threshold=threshold)
