"""Streams whose rows resemble each other: how many of them count as one, and what that does to the alarms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulations.drift_world import autoregressive
from fairlead.errors import FairleadError
from fairlead.monitoring.drift.calibration import calibrate, inflation
from fairlead.monitoring.drift.reference import CategoricalReference, NumericReference
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.drift.window import judge_window


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.6, 0.9])
def test_the_inflation_of_an_autoregressive_stream_is_the_known_one(phi: float) -> None:
    """It is (1 + phi) / (1 - phi), and what is measured lies at or somewhat above it."""
    stream = autoregressive(np.random.default_rng(4), phi, 100_000, 1)[:, 0]

    measured = inflation(np.split(stream, 100))

    known = (1.0 + phi) / (1.0 - phi)
    assert 0.97 * known <= measured <= 1.3 * known


@settings(deadline=None, max_examples=25)
@given(repeats=st.integers(1, 12), seed=st.integers(0, 1000))
def test_rows_that_are_repeated_count_once(repeats: int, seed: int) -> None:
    """A stream in which every row comes k times says as much as one of a k-th of the rows."""
    stream = np.repeat(np.random.default_rng(seed).standard_normal(24_000 // repeats), repeats)

    assert 0.85 * repeats <= inflation(np.array_split(stream, 20)) <= 1.6 * repeats


@pytest.mark.parametrize("windows", [[], [np.zeros(0)], [np.ones(1)], [np.ones(50)] * 3])
def test_what_does_not_vary_counts_every_row(windows: list[np.ndarray]) -> None:
    """No rows, one row, and rows that are all the same have nothing to resemble."""
    assert inflation(windows) == 1.0


def test_categories_and_nulls_are_calibrated_too() -> None:
    """Categories that come in runs of eight count an eighth, and so do runs of nulls."""
    rng = np.random.default_rng(2)
    known: list[NumericReference | CategoricalReference] = [
        CategoricalReference.describe("colour", rng.choice(["red", "blue", "green"], 10_000).tolist()),
        NumericReference.describe("ink", rng.standard_normal(10_000)),
    ]
    colours = np.repeat(rng.choice(["red", "blue", "green"], 2_500), 8)
    inks = np.where(np.repeat(rng.random(2_500) < 0.1, 8), np.nan, rng.standard_normal(20_000))
    past = [
        {"colour": part.tolist(), "ink": ink}
        for part, ink in zip(np.split(colours, 20), np.split(inks, 20), strict=True)
    ]

    measured = calibrate(known, past).inflation

    assert 7.0 <= measured["colour"] <= 12.0
    assert 7.0 <= measured["ink"] <= 12.0


def test_calibration_ends_the_false_alarms_and_keeps_the_true_one() -> None:
    """Of an autocorrelated stream the uncalibrated rule alarms often and the calibrated one hardly; 1 sd is found."""
    rng = np.random.default_rng(6)
    names = [f"x{place}" for place in range(10)]
    known = [NumericReference.describe(name, rng.standard_normal(10_000)) for name in names]
    windows = [dict(zip(names, part.T, strict=True)) for part in np.split(autoregressive(rng, 0.6, 500 * 80, 10), 80)]
    calibrated = calibrate(known, windows[:20])

    before = sum(bool(judge_window(known, window).drifted) for window in windows[20:])
    after = sum(bool(judge_window(known, window, calibrated).drifted) for window in windows[20:])
    moved = {**windows[20], "x3": windows[20]["x3"] + 1.0}

    assert before >= 6
    assert after <= 2
    assert judge_window(known, moved, calibrated).drifted == ("x3",)


def test_calibration_keeps_the_other_thresholds() -> None:
    """Only the inflation changes, and a feature that the past lacks counts every row."""
    rng = np.random.default_rng(1)
    known = [NumericReference.describe(name, rng.standard_normal(1_000)) for name in ("seen", "unseen")]
    own = DriftThresholds(min_rows=700)

    calibrated = calibrate(known, [{"seen": rng.standard_normal(1_000)} for _ in range(5)], own)

    assert calibrated.min_rows == 700
    assert calibrated.inflation["unseen"] == 1.0


@pytest.mark.parametrize("value", [0.5, float("inf"), float("nan")])
def test_an_inflation_that_cannot_be_is_refused(value: float) -> None:
    """A row says at most as much as an independent one, and at least something."""
    with pytest.raises(FairleadError):
        DriftThresholds(inflation={"x": value})
