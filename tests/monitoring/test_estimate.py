"""Accuracy without labels."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import FairleadError
from fairlead.monitoring import estimate
from fairlead.monitoring.drift.reference import NumericReference
from fairlead.monitoring.estimate import Calibration, estimate_accuracy

FEATURES = tuple(
    NumericReference(name=f"x{number}", quantiles=tuple(np.linspace(0, 1, 11)), rows=4000) for number in range(8)
)
JUDGED = Calibration(rows=4000, accuracy=0.9, mean_confidence=0.93, std_confidence=0.1, features=FEATURES)


def columns(
    rows: int, *, strange: int = 0, outside: int = 3
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Features of which `strange` rows have `outside` beyond what was ever seen."""
    values = np.full((8, rows), 0.5)
    values[:outside, :strange] = 2.0
    return {f"x{number}": column for number, column in enumerate(values)}


def test_a_window_like_the_held_out_rows_has_their_accuracy() -> None:
    """No confidence lost, no accuracy lost, whatever the model's confidence is worth."""
    found = estimate_accuracy(JUDGED, np.full(1000, 0.93), columns(1000))

    assert found.value == pytest.approx(0.9)
    assert found.is_in_range
    assert 0.87 < found.low < 0.9 < found.high < 0.93


def test_the_estimate_falls_with_the_confidence() -> None:
    """A point of mean confidence is a point of accuracy, and it widens the interval."""
    before, after = (estimate_accuracy(JUDGED, np.full(1000, confidence)) for confidence in (0.93, 0.91))

    assert before.value - after.value == pytest.approx(0.02)
    assert after.high - after.low > before.high - before.low + 0.03


@pytest.mark.parametrize(("confidence", "word"), [(0.8, "fell"), (1.0, "rose")])
def test_a_confidence_that_moved_far_is_out_of_range(confidence: float, word: str) -> None:
    """A model far less sure, or far surer, than when it was judged is not believed about itself."""
    found = estimate_accuracy(JUDGED, np.full(1000, confidence))

    assert not found.is_in_range
    assert found.reason.startswith("out of range")
    assert word in found.reason


def test_rows_unlike_any_seen_are_out_of_range() -> None:
    """Confidence means nothing on strange rows: up to four of a hundred the estimate stands, with a wider interval."""
    few = estimate_accuracy(JUDGED, np.full(1000, 0.93), columns(1000, strange=40))
    many = estimate_accuracy(JUDGED, np.full(1000, 0.93), columns(1000, strange=60))

    assert few.is_in_range
    assert few.low < estimate_accuracy(JUDGED, np.full(1000, 0.93), columns(1000)).low - 0.03
    assert not many.is_in_range
    assert "6.0%" in many.reason


def test_a_row_is_strange_by_more_than_a_quarter_of_its_features() -> None:
    """Two of eight features outside are what a picture moved by a pixel has."""
    assert estimate_accuracy(JUDGED, np.full(100, 0.93), columns(100, strange=100, outside=2)).is_in_range
    assert not estimate_accuracy(JUDGED, np.full(100, 0.93), columns(100, strange=100, outside=3)).is_in_range


def test_a_missing_value_is_strange_only_where_none_was_missing() -> None:
    """A row without a number lies outside, unless held-out rows lacked it too."""
    missing = {"x0": np.full(100, np.nan)}
    sparse = NumericReference(name="x0", quantiles=FEATURES[0].quantiles, rows=4000, null_share=0.2)
    tolerant = Calibration(rows=4000, accuracy=0.9, mean_confidence=0.93, std_confidence=0.1, features=(sparse,))

    assert not estimate_accuracy(JUDGED, np.full(100, 0.93), missing).is_in_range
    assert estimate_accuracy(tolerant, np.full(100, 0.93), missing).is_in_range


def test_features_without_a_reference_are_not_looked_at() -> None:
    """What was not described cannot be strange."""
    assert estimate_accuracy(JUDGED, np.full(100, 0.93), {"new": np.full(100, 1e9)}).is_in_range


def test_a_small_window_may_wander_by_chance() -> None:
    """Five points of mean confidence lost are within chance for twenty rows, and not for a thousand."""
    assert estimate_accuracy(JUDGED, np.full(20, 0.88)).is_in_range
    assert not estimate_accuracy(JUDGED, np.full(1000, 0.88)).is_in_range


def test_an_answer_that_is_no_number_has_no_confidence() -> None:
    """A model that answers NaN for a tenth of the rows has lost a tenth of its confidence."""
    confidences = np.full(1000, 0.93)
    confidences[:100] = np.nan

    found = estimate_accuracy(JUDGED, confidences)

    assert found.value == pytest.approx(0.9 - 0.093)
    assert not found.is_in_range


@given(
    accuracy=st.floats(0, 1),
    mean=st.floats(0, 1),
    confidences=st.lists(st.floats(0, 1), min_size=1, max_size=50),
    rows=st.integers(1, 100_000),
)
def test_an_estimate_is_a_share_within_its_interval(
    accuracy: float, mean: float, confidences: list[float], rows: int
) -> None:
    """Whatever the figures, 0 <= low <= value <= high <= 1."""
    judged = Calibration(rows=rows, accuracy=accuracy, mean_confidence=mean, std_confidence=0.1)

    found = estimate_accuracy(judged, np.array(confidences))

    assert 0 <= found.low <= found.value <= found.high <= 1


def test_the_interval_holds_the_truth_in_95_of_100_windows() -> None:
    """For a model whose confidence lost what its accuracy lost, the true share lies in the interval."""
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(500):
        confidences = generator.beta(9, 1, 400)
        truth = (generator.random(400) < confidences - 0.02).mean()
        judged = Calibration(rows=2000, accuracy=0.9, mean_confidence=0.92, std_confidence=0.09)
        found = estimate_accuracy(judged, confidences)
        held += found.low <= truth <= found.high

    assert held >= 475


def test_an_estimate_of_nothing_is_refused() -> None:
    """Without rows there is no accuracy, and a feature must have as many values as there are rows."""
    with pytest.raises(FairleadError, match="no rows"):
        estimate_accuracy(JUDGED, np.array([]))
    with pytest.raises(FairleadError, match="'x0' has 3 values for 2 rows"):
        estimate_accuracy(JUDGED, np.full(2, 0.9), {"x0": [0.1, 0.2, 0.3]})


@pytest.mark.parametrize(
    ("rows", "accuracy", "mean"), [(0, 0.9, 0.9), (10, 1.1, 0.9), (10, 0.9, float("nan")), (10, -0.1, 0.9)]
)
def test_an_impossible_calibration_is_refused(rows: int, accuracy: float, mean: float) -> None:
    """No rows, an accuracy that is no share, a mean that is no number."""
    with pytest.raises(FairleadError, match="calibration"):
        Calibration(rows=rows, accuracy=accuracy, mean_confidence=mean, std_confidence=0.1)


def test_the_example_is_true() -> None:
    """The docstring's example runs and prints its stated output."""
    result = doctest.testmod(estimate)

    assert (result.failed, result.attempted > 0) == (0, True)
