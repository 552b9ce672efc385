"""A window is judged over all features together: quiet ones stay quiet, and what moved is named with its size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.simulations.drift import simulate
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.calibration import calibrate
from fairlead.monitoring.drift.persistence import DriftHistory, Patience, follow
from fairlead.monitoring.drift.reference import CategoricalReference, NumericReference
from fairlead.monitoring.drift.window import DriftReport, DriftState, judge_window

RNG = np.random.default_rng(1)
AGE = NumericReference.describe("age", RNG.normal(40, 10, 10_000))
COLOUR = CategoricalReference(name="colour", shares={"red": 0.6, "blue": 0.3, "green": 0.1}, rows=10_000)


def window(rows: int = 1_000, seed: int = 2, **columns: Any) -> dict[str, Any]:
    """A quiet window, with some columns of the test's own."""
    rng = np.random.default_rng(seed)
    colours = rng.choice(["red", "blue", "green"], rows, p=[0.6, 0.3, 0.1])
    return {"age": rng.normal(40, 10, rows), "colour": list(colours)} | columns


def judged(**columns: Any) -> DriftReport:
    """What is said of such a window."""
    return judge_window([AGE, COLOUR], window(**columns))


def test_a_quiet_window_is_quiet() -> None:
    """Rows of the reference's own kind raise no alarm, and every feature is in the report."""
    report = judged()
    assert (report.state, report.drifted, report.rows) == (DriftState.QUIET, (), 1_000)
    assert {feature.feature for feature in report.features} == {"age", "colour"}


def test_too_few_rows_say_nothing() -> None:
    """Below the least number of rows a window is neither quiet nor drifted."""
    assert judge_window([AGE, COLOUR], window(499)).state is DriftState.INCONCLUSIVE


@pytest.mark.parametrize(
    ("columns", "feature", "told"),
    [
        ({"age": RNG.normal(44, 10, 1_000)}, "age", "age rose"),
        ({"age": RNG.normal(40, 10, 1_000) * 1000}, "age", "age"),
        (
            {"age": [None if place % 50 == 0 else float(v) for place, v in enumerate(RNG.normal(40, 10, 1_000))]},
            "age",
            "",
        ),
        ({"colour": ["green"] * 250 + ["red"] * 500 + ["blue"] * 250}, "colour", "green"),
        ({"colour": ["pink"] * 5 + ["red"] * 597 + ["blue"] * 298 + ["green"] * 100}, "colour", "pink"),
    ],
)
def test_what_moved_is_named(columns: dict[str, Any], feature: str, told: str) -> None:
    """A level, a unit, nulls, a category's share and a new category are found, and the sentence says what it was."""
    report = judged(**columns)
    assert report.state is DriftState.DRIFTED
    assert report.drifted == (feature,)
    assert told in report.features[0].reason
    assert report.features[0].is_drifted


def test_columns_that_do_not_fit_are_refused() -> None:
    """A feature that the window lacks, or one of another length, is an error with its name."""
    for columns in ({"age": RNG.normal(40, 10, 7)}, {"colour": ["red"]}):
        with pytest.raises(FairleadError) as caught:
            judged(**columns)
        assert caught.value.code is Code.INVALID_ARGUMENT


def test_drift_persists_in_two_windows_of_three() -> None:
    """Since when is the first window that showed it; a quiet stretch ends it."""
    drifted = judged(age=RNG.normal(46, 10, 1_000))
    quiet, few = judged(), judge_window([AGE, COLOUR], window(10))
    history = DriftHistory()
    for place, report in enumerate([quiet, drifted, few, quiet, drifted]):
        history = follow(history, report, at_us=place)
    assert history.persistent == ("age",)
    assert (history.since["age"].window, history.since["age"].at_us) == (2, 1)

    for place in range(3):
        history = follow(history, quiet, at_us=10 + place)
    assert (history.persistent, dict(history.since)) == ((), {})
    with pytest.raises(FairleadError):
        Patience(windows=4, of=3)


def test_calibration_needs_a_past() -> None:
    """Fewer than 5,000 rows of the past calibrate nothing."""
    with pytest.raises(FairleadError) as caught:
        calibrate([AGE], [window(1_000)])
    assert caught.value.code is Code.FAILED_PRECONDITION


def test_the_simulation_keeps_its_bars() -> None:
    """A short run of what `docs/simulations/drift.md` shows: every bar is met, and both controls fail as they must."""
    results = simulate(200, seed=7)
    missed = [outcome.title for outcome in results.outcomes if not outcome.holds]
    rare = [title for title in missed if "sequential" in title]  # one false change in twenty streams proves nothing
    assert missed == rare
    assert sum("control" in outcome.title for outcome in results.outcomes) == 2
