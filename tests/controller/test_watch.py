"""The watch over what a stable version is asked: its own stream says what is usual, and drift is never learnt."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.cli.logged import Logged

from fairlead.app.quality import read_quality
from fairlead.controller.watch import Alarm, Concern, Watcher
from fairlead.controller.watch_state import Watch

WINDOW = 500
CALIBRATING = 11
ALIKE = 5
"""How many rows in a row are of one picture."""


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """Digits in production, watched since the release."""
    live = Logged.begin(tmp_path, monkeypatch)
    live.store.promote(live.publish().manifest.id, why="")
    step(live)
    return live


def step(live: Logged) -> tuple[Watch, list[Alarm]]:
    """A look by a watcher that was just started, as after any restart."""
    told: list[Alarm] = []
    watcher = Watcher(live.engine, live.store)
    watcher.step("digits", told.append)
    watch = watcher.read("digits")
    assert watch is not None
    return watch, told


def drifting(live: Logged, windows: int, *, alike: int, brightness: float = 1.0) -> int:
    """How many of the next windows show drift."""
    count = 0
    for _ in range(windows):
        live.answer(WINDOW, alike=alike, brightness=brightness)
        watch, _ = step(live)
        assert watch.report is not None
        count += watch.report["state"] == "drifted"
    return count


def test_a_stream_of_rows_that_resemble_each_other_is_judged_by_what_they_say(live: Logged) -> None:
    """Five in a row of one picture cry drift as long as each row counts; the first windows teach the watch better."""
    assert drifting(live, CALIBRATING, alike=ALIKE) >= CALIBRATING // 2

    watch, _ = step(live)
    assert watch.inflation is not None
    assert all(ALIKE * 0.8 < rows < ALIKE * 2 for rows in watch.inflation.values())
    assert drifting(live, 30, alike=ALIKE) <= 1


def test_what_drifts_is_told_after_calibration_too(live: Logged) -> None:
    """The room that a stream is given does not hide a change that matters."""
    live.answer(CALIBRATING * WINDOW)
    assert step(live)[0].inflation is not None

    live.answer(2 * WINDOW, brightness=0.6)
    _, told = step(live)

    assert [alarm.concern for alarm in told] == [Concern.DRIFT]
    assert "mean" in told[0].evidence["features"]


@pytest.mark.parametrize("quiet_rows", [0, 3 * WINDOW, 3 * WINDOW + WINDOW // 2], ids=["ever", "between", "within"])
def test_drift_is_not_learnt(live: Logged, quiet_rows: int) -> None:
    """A change during the windows that are learnt from is told, and goes on being told of."""
    live.answer(quiet_rows)
    live.answer(2 * CALIBRATING * WINDOW - quiet_rows, brightness=0.6)
    watch, told = step(live)

    assert len(told) == 1
    assert watch.inflation is not None
    assert watch.inflation["mean"] < 2
    assert "mean" in watch.history.persistent


def test_the_report_on_quality_judges_as_the_watch_does(live: Logged) -> None:
    """Nobody is shown drift that nobody is told of."""
    live.answer(CALIBRATING * WINDOW, alike=ALIKE)
    step(live)
    live.answer(1000, alike=ALIKE)

    now_us = int(time.time() * 1e6)
    (arm,) = read_quality(
        live.engine, live.store, "digits", since_us=0, until_us=now_us + 10**9, window_us=10**12, limit=5000
    )

    assert arm.newest.drift is not None
    assert arm.newest.drift.state.value == "quiet"
