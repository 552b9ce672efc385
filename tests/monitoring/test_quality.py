"""Quality in production: the figures are the textbook's, and what is not known is not made up."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from fairlead.errors import FairleadError
from fairlead.monitoring.calibration import calibration
from fairlead.monitoring.feedback import Feedback
from fairlead.monitoring.label import Label
from fairlead.monitoring.quality import NO_LABEL, Answers, assess, by_window
from fairlead.monitoring.quality_query import read_answers
from fairlead.significance.shares import wilson_interval

from .conftest import NOW_US, Ship, prediction, prediction_id

CLASSES = ("ham", "spam", "eggs")
SECOND_US = 1_000_000


def answers(predicted: list[str], truth: list[str], **changed: Any) -> Answers:
    """One row a second from 0 on, labelled a minute later, with a confidence of 0.9."""
    at_us = np.arange(len(truth), dtype=np.int64) * SECOND_US
    values: dict[str, Any] = {
        "model": "messages",
        "version": 3,
        "arm": "stable",
        "since_us": 0,
        "until_us": len(truth) * SECOND_US,
        "predicted": np.array(predicted, dtype=np.str_),
        "confidence": np.full(len(truth), 0.9),
        "truth": np.array(truth, dtype=np.str_),
        "at_us": at_us,
        "labelled_us": at_us + 60 * SECOND_US,
    }
    return Answers(**{**values, **changed})


labels_of = st.lists(st.tuples(st.sampled_from(CLASSES), st.sampled_from(CLASSES)), min_size=1, max_size=60)


@given(pairs=labels_of)
@settings(deadline=None)
def test_the_figures_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    """Confusion matrix, precision, recall and F1 are those that scikit-learn computes."""
    from sklearn import metrics

    predicted, truth = (list(side) for side in zip(*pairs, strict=True))

    report = assess(answers(predicted, truth), classes=CLASSES)

    expected = metrics.confusion_matrix(truth, predicted, labels=CLASSES)
    assert report.confusion == tuple(tuple(row) for row in expected.tolist())
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, predicted, labels=CLASSES, zero_division=np.nan
    )
    for place, one in enumerate(report.classes):
        assert one.label == CLASSES[place]
        assert (one.precision.value if one.precision else np.nan) == pytest.approx(precision[place], nan_ok=True)
        assert (one.recall.value if one.recall else np.nan) == pytest.approx(recall[place], nan_ok=True)
        assert (np.nan if one.f1 is None else one.f1) == pytest.approx(f1[place], nan_ok=True)
    assert report.accuracy is not None
    assert report.accuracy.value == pytest.approx(metrics.accuracy_score(truth, predicted))


def test_every_share_has_wilsons_interval() -> None:
    """Accuracy, precision, recall and coverage come with the interval of the level that was asked for."""
    report = assess(answers(["ham"] * 9 + ["spam"], ["ham"] * 8 + ["spam", NO_LABEL]), level=0.99)

    assert report.accuracy is not None
    assert (report.accuracy.low, report.accuracy.high) == wilson_interval(8, 9, 0.99)
    assert report.coverage is not None
    assert (report.coverage.low, report.coverage.high) == wilson_interval(9, 10, 0.99)
    ham = report.classes[0]
    assert ham.precision is not None
    assert (ham.precision.low, ham.precision.high) == wilson_interval(8, 9, 0.99)


def test_without_labels_nothing_is_known() -> None:
    """Rows without labels have a coverage of 0 and no other figure; no rows have not even that."""
    report = assess(answers(["ham"] * 4, [NO_LABEL] * 4), classes=CLASSES)

    assert report.rows == 4
    assert report.coverage is not None
    assert report.coverage.value == 0.0
    assert [report.accuracy, report.calibration, report.delay_median_s, report.delay_p95_s] == [None] * 4
    assert [(one.precision, one.recall, one.f1) for one in report.classes] == [(None, None, None)] * 3
    nothing = assess(answers([], []))
    assert (nothing.rows, nothing.coverage, nothing.classes, nothing.confusion) == (0, None, (), ())


def test_a_foreign_label_counts_for_nothing_but_itself() -> None:
    """A label of no class of the version, which came before its prediction, is counted apart and is no error."""
    report = assess(answers(["ham", "ham", "ham"], ["ham", "cat", NO_LABEL]), classes=CLASSES)

    assert report.foreign == 1
    assert report.accuracy is not None
    assert (report.accuracy.right, report.accuracy.rows) == (1, 1)
    assert report.coverage is not None
    assert report.coverage.right == 2
    assert [one.label for one in report.classes] == list(CLASSES)


def test_a_prediction_of_no_class_is_wrong_and_shown() -> None:
    """What was predicted although it is no class makes a column of its own, so that the matrix counts every row."""
    report = assess(answers(["ham", "cat"], ["ham", "ham"]), classes=CLASSES)

    assert [one.label for one in report.classes] == [*CLASSES, "cat"]
    assert sum(map(sum, report.confusion)) == 2
    assert report.accuracy is not None
    assert report.accuracy.value == 0.5


def test_the_delay_is_that_of_the_labels_that_came() -> None:
    """Median and 95th percentile are over labelled rows, and never below zero."""
    at_us = np.zeros(101, np.int64)
    labelled_us = np.arange(-50, 51) * SECOND_US
    truth = ["ham"] * 100 + [NO_LABEL]

    report = assess(answers(["ham"] * 101, truth, at_us=at_us, labelled_us=labelled_us))

    assert report.delay_median_s == 0.0
    assert report.delay_p95_s == pytest.approx(np.quantile(np.maximum(np.arange(-50, 50), 0), 0.95))


def test_windows_count_each_row_once() -> None:
    """Windows side by side hold every row of the whole once, and say what they cover, also where nothing was asked."""
    whole = answers(["ham"] * 10, ["ham"] * 9 + ["spam"], until_us=25 * SECOND_US)

    windows = list(by_window(whole, 4 * SECOND_US))

    assert [len(window.truth) for window in windows] == [4, 4, 2, 0, 0, 0, 0]
    assert [(window.since_us, window.until_us) for window in windows][-2:] == [
        (20 * SECOND_US, 24 * SECOND_US),
        (24 * SECOND_US, 25 * SECOND_US),
    ]
    assert [report.accuracy and report.accuracy.value for report in map(assess, windows)][:4] == [1.0, 1.0, 0.5, None]
    with pytest.raises(FairleadError, match="a window of 0 us is none"):
        list(by_window(whole, 0))


def test_a_calibrated_model_has_a_small_error() -> None:
    """Where the confidence is the chance of being right the error is small; 30 points over it, the error is 0.3."""
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.5, 1.0, 200_000)

    honest = calibration(confidence, rng.random(200_000) < confidence)
    boasting = calibration(confidence, rng.random(200_000) < confidence - 0.3)

    assert honest is not None
    assert boasting is not None
    assert honest.error < 0.01
    assert boasting.error == pytest.approx(0.3, abs=0.01)
    assert sum(one.rows for one in honest.bins) == 200_000
    assert all(
        one.accuracy.low <= (one.confidence or 0) <= one.accuracy.high or one.rows < 100
        for one in calibration(confidence, rng.random(200_000) < confidence, level=0.99999).bins  # type: ignore[union-attr] # there are rows
        if one.accuracy
    )


@given(
    confidence=st.lists(st.floats(0, 1), min_size=1, max_size=50),
    bins=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_the_calibration_error_is_its_definition(confidence: list[float], bins: int, seed: int) -> None:
    """The error is the sum over bins of their share of rows times the gap between accuracy and mean confidence."""
    values = np.array(confidence)
    right = np.random.default_rng(seed).random(len(values)) < 0.5

    found = calibration(values, right, bins=bins)

    assert found is not None
    gaps = [
        one.rows / len(values) * abs(one.accuracy.value - (one.confidence or 0)) for one in found.bins if one.accuracy
    ]
    assert found.error == pytest.approx(sum(gaps), abs=1e-12)
    assert sum(one.rows for one in found.bins) == len(values)
    for one in found.bins:
        assert one.confidence is None or one.low - 1e-9 <= one.confidence <= one.high + 1e-9


def test_what_is_no_probability_is_not_calibrated() -> None:
    """Scores outside 0 to 1 and rows without any are left out; where nothing else is there, there is no table."""
    confidence = np.array([np.nan, -0.1, 1.1, 0.95])

    found = calibration(confidence, np.array([True, True, True, True]))

    assert found is not None
    assert sum(one.rows for one in found.bins) == 1
    assert calibration(confidence[:3], np.array([True, True, True])) is None
    with pytest.raises(FairleadError, match="cannot be made"):
        calibration(confidence, np.array([True]))


def test_a_report_is_json() -> None:
    """A report with and without figures is written by a JSON writer that takes no NaN."""
    for report in (assess(answers(["ham"], ["spam"])), assess(answers([], []))):
        assert json.loads(json.dumps(report.to_json(), allow_nan=False))["model"] == "messages"


def test_arrays_of_different_lengths_are_refused() -> None:
    """A row needs a value in each array."""
    with pytest.raises(FairleadError, match="one value a row"):
        answers(["ham"], ["ham", "spam"])


def test_a_million_rows_are_assessed_in_seconds() -> None:
    """A window of a million rows does not hold up whoever asks."""
    rng = np.random.default_rng(3)
    predicted, truth = (np.array(CLASSES)[rng.integers(0, 3, 1_000_000)] for _ in range(2))
    whole = answers([], [])
    many = replace(
        whole,
        predicted=predicted,
        truth=truth,
        confidence=rng.random(1_000_000),
        at_us=np.arange(1_000_000),
        labelled_us=np.arange(1_000_000),
    )

    started = time.thread_time()
    report = assess(many, classes=CLASSES)

    assert time.thread_time() - started < 10
    assert report.accuracy is not None
    assert report.accuracy.value == pytest.approx(1 / 3, abs=0.01)


def give(engine: Engine, *pairs: tuple[int, str], now_us: int = NOW_US) -> None:
    """Labels of predictions by number."""
    feedback = Feedback(engine, now_us=lambda: now_us, classes_of=lambda _model, _version: None, horizon_us=2**60)
    feedback.give([Label(prediction_id=prediction_id(n), label=label) for n, label in pairs], source="people")


def test_answers_are_read_with_the_labels_that_came(engine: Engine, ship: Ship) -> None:
    """Each answered row comes once, with the label that counts now and the time of the first one."""
    ship(
        prediction(1),
        prediction(2, confidence=None),
        prediction(3, error="INTERNAL"),
        prediction(4, predicted=None),
        prediction(5, model="messages"),
    )
    give(engine, (1, "7"), (3, "3"), now_us=NOW_US + 5)
    give(engine, (1, "1"), now_us=NOW_US + 9)

    (found,) = read_answers(engine, "digits", since_us=NOW_US, until_us=NOW_US + 1)

    assert (found.version, found.arm, found.since_us, found.until_us) == (1, "stable", NOW_US, NOW_US + 1)
    assert found.predicted.tolist() == ["1", "2"]
    assert found.truth.tolist() == ["1", NO_LABEL]
    assert found.labelled_us[0] == NOW_US + 5
    assert found.confidence[0] == 0.75
    assert np.isnan(found.confidence[1])


def test_shadow_answers_are_apart(engine: Engine, ship: Ship) -> None:
    """One label judges the answer that was given and the shadow's copy, each in its own arm."""
    ship(
        prediction(1), prediction(1, arm="shadow", version=2, predicted="8"), prediction(2, arm="candidate", version=2)
    )
    give(engine, (1, "1"))

    found = read_answers(engine, "digits", since_us=0, until_us=2 * NOW_US)

    assert [(one.version, one.arm, assess(one).rows) for one in found] == [
        (1, "stable", 1),
        (2, "candidate", 1),
        (2, "shadow", 1),
    ]
    accuracies = [report.accuracy and report.accuracy.value for report in map(assess, found)]
    assert accuracies == [1.0, None, 0.0]
    assert [
        (one.version, one.arm) for one in read_answers(engine, "digits", since_us=0, until_us=2 * NOW_US, version=2)
    ] == [(2, "candidate"), (2, "shadow")]
    assert [one.arm for one in read_answers(engine, "digits", since_us=0, until_us=2 * NOW_US, arm="shadow")] == [
        "shadow"
    ]


def test_a_window_holds_its_beginning_and_not_its_end(engine: Engine, ship: Ship) -> None:
    """Windows side by side hold each row once."""
    ship(*(prediction(number, at_us=NOW_US + number) for number in range(6)))

    def rows(since_us: int, until_us: int) -> list[str]:
        found = read_answers(engine, "digits", since_us=NOW_US + since_us, until_us=NOW_US + until_us)
        return [label for one in found for label in one.predicted.tolist()]

    assert [rows(0, 2), rows(2, 5), rows(5, 9), rows(9, 99)] == [["0", "1"], ["2", "3", "4"], ["5"], []]


def test_where_there_is_too_much_the_newest_is_read(engine: Engine, ship: Ship) -> None:
    """Beyond the limit older rows are left out, and the window says where it begins."""
    ship(*(prediction(number, at_us=NOW_US + number) for number in range(9)))

    (found,) = read_answers(engine, "digits", since_us=0, until_us=2 * NOW_US, limit=3)

    assert found.predicted.tolist() == ["6", "7", "8"]
    assert found.since_us == NOW_US + 6
