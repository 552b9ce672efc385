"""What `fairlead quality` tells: measured where there are labels, estimated and marked where there are none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.main import main
from fairlead.cli.quality import _duration
from fairlead.monitoring.label import Label
from fairlead.monitoring.prediction import BOUNDS_S, Tally

from .logged import DAY_US, Logged

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """A stable version."""
    live = Logged.begin(tmp_path, monkeypatch)
    live.store.promote(live.publish().manifest.id, why="first")
    return live


def quality(capsys: Capture, *flags: str) -> Any:
    """The figures as a program reads them."""
    assert main(["quality", "digits", *flags, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def shown(capsys: Capture, *flags: str) -> str:
    """The figures as a person reads them: no line is too long for a terminal."""
    assert main(["quality", "digits", *flags]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= 100
    return out


def test_accuracy_is_that_of_the_labelled_rows(live: Logged, capsys: Capture) -> None:
    """With its interval, the coverage, the delay and the windows; what has no label counts for nothing."""
    live.label(live.answer(900, age_us=DAY_US + DAY_US // 2, accuracy=0.9)[:600])
    live.label(live.answer(600, accuracy=0.7))

    (arm,) = quality(capsys)["arms"]

    assert (arm["version"], arm["arm"], arm["rows"]) == (1, "stable", 1500)
    assert arm["coverage"]["value"] == 0.8
    assert arm["accuracy"]["rows"] == 1200
    assert arm["accuracy"]["low"] < arm["accuracy"]["value"] < arm["accuracy"]["high"]
    assert arm["accuracy"]["value"] == pytest.approx(0.8, abs=0.04)
    assert [one["rows"] for one in arm["windows"]] == [900, 600]
    assert arm["windows"][0]["accuracy"]["value"] == pytest.approx(0.9, abs=0.04)
    assert arm["windows"][1]["accuracy"]["value"] == pytest.approx(0.7, abs=0.05)
    assert arm["delay_p95_s"] == pytest.approx(DAY_US / 1e6 * 1.5, rel=0.01)


def test_it_is_shown_to_people_in_tables(live: Logged, capsys: Capture) -> None:
    """Each class, what it was taken for, calibration; an estimate that says it is one."""
    live.label(live.answer(1500))

    out = shown(capsys)

    for heading in ("VERSION  ARM", "CLASS  LABELLED  PRECISION", "TRUE, AS", "SAYS", "calibration"):
        assert heading in out
    assert "an estimate that no label has confirmed" in out
    assert re.search(r"estimated accuracy about (8[89]|9[01])\.\d% \(", out)
    assert "drift: none in" in out


def test_the_confusion_matrix_has_true_classes_down(live: Logged, capsys: Capture) -> None:
    """What is a 4 and was taken for a 3 stands in the row of 4 under 3: the models here err by one."""
    live.label(live.answer(1000))

    out = shown(capsys)
    (arm,) = quality(capsys)["arms"]

    rows = [line.split() for line in out.split("TRUE, AS")[1].splitlines()[1:11]]
    assert [row[0] for row in rows] == list("0123456789")
    assert [[int(cell) for cell in row[1:]] for row in rows] == arm["confusion"]
    assert int(rows[4][1 + 3]) > 0
    assert int(rows[3][1 + 4]) == 0


def test_each_version_and_arm_stands_for_itself(live: Logged, capsys: Capture) -> None:
    """A candidate's errors are not the stable version's; --version shows one alone."""
    live.publish()
    live.label(live.answer(500, accuracy=0.95))
    live.label(live.answer(200, version=2, arm="candidate", accuracy=0.5))
    live.answer(100, version=2, arm="shadow")

    arms = quality(capsys)["arms"]

    assert [(arm["version"], arm["arm"], arm["rows"]) for arm in arms] == [
        (1, "stable", 500),
        (2, "candidate", 200),
        (2, "shadow", 100),
    ]
    assert arms[0]["accuracy"]["value"] > 0.9
    assert arms[1]["accuracy"]["value"] < 0.6
    assert arms[2]["accuracy"] is None
    assert [arm["newest"]["rows"] for arm in arms] == [500, 200, 100]
    assert [arm["version"] for arm in quality(capsys, "--version", "2")["arms"]] == [2, 2]
    assert "version 1" not in shown(capsys, "--version", "2")


def test_without_labels_there_is_an_estimate_and_it_is_near(live: Logged, capsys: Capture) -> None:
    """Where the rows are as they were, it is what was measured at release; no accuracy is claimed."""
    live.answer(800)

    (arm,) = quality(capsys)["arms"]
    out = shown(capsys)

    assert arm["accuracy"] is None
    estimate = arm["newest"]["estimated_accuracy"]
    assert estimate["is_in_range"]
    assert estimate["value"] == pytest.approx(0.9, abs=0.03)
    assert arm["newest"]["rows"] == 800
    assert "no label came for these rows; next: POST /feedback, or fairlead labels import FILE" in out
    assert out.splitlines()[2].endswith(f"about {estimate['value']:.1%}")


def test_drift_is_named_with_its_feature_and_size(live: Logged, capsys: Capture) -> None:
    """Pictures of half the brightness; nothing is said to have drifted while they are as they were."""
    live.answer(600, age_us=DAY_US)
    (before,) = quality(capsys)["arms"]
    live.answer(1000, brightness=0.5)

    (after,) = quality(capsys)["arms"]
    out = shown(capsys)

    assert (before["newest"]["drift"]["state"], after["newest"]["drift"]["state"]) == ("quiet", "drifted")
    drifted = [one for one in after["newest"]["drift"]["features"] if one["is_drifted"]]
    assert "mean" in [one["feature"] for one in drifted]
    assert "drift: mean fell by" in out
    assert not {"predicted", "confidence"} & {one["feature"] for one in drifted}


def test_an_estimate_that_is_worth_nothing_is_not_shown_as_a_number(live: Logged, capsys: Capture) -> None:
    """Rows unlike any that the version was judged on."""
    live.answer(800, brightness=4.0)

    row = shown(capsys).splitlines()[2]

    assert row.endswith("out of range")
    assert "about" not in row


def test_few_rows_are_not_called_quiet(live: Logged, capsys: Capture) -> None:
    """Below 500 rows the answer is that there are too few."""
    live.answer(499, brightness=0.5)

    assert "drift: too few rows to tell; 500 are needed" in shown(capsys)


def test_a_version_without_a_reference_says_so(live: Logged, capsys: Capture) -> None:
    """Its quality is shown all the same."""
    live.publish(reference=False)
    live.label(live.answer(600, version=2))

    out = shown(capsys)

    assert "neither an estimate nor drift: there is no reference at" in out
    assert "CLASS  LABELLED" in out


def test_exact_counts_stand_beside_what_was_logged(live: Logged, capsys: Capture) -> None:
    """Whatever share of the requests is logged, and however many failed."""
    live.answer(10)
    minute = live.now_us // 60_000_000 - 1
    latency = (200, *[0] * len(BOUNDS_S))
    counts = Tally(minute=minute, model="digits", version=1, arm="stable", rows=200, errors=3, latency=latency)
    live.ship([], [counts])

    (arm,) = quality(capsys)["arms"]

    assert (arm["rows"], arm["asked"], arm["failed"]) == (10, 200, 3)
    assert "200 rows were asked for, and 3 of them failed" in shown(capsys)


@pytest.mark.parametrize(("classes", "is_shown"), [(12, True), (13, False)])
def test_a_confusion_matrix_fits_a_terminal(live: Logged, capsys: Capture, classes: int, is_shown: bool) -> None:
    """Twelve classes with long names do; with more it is in the JSON."""
    names = [f"{letter}-a-class-with-a-name-that-is-long" for letter in "abcdefghijklm"[:classes]]
    live.publish(labels=names)
    live.answer(1, version=2)
    row = live.log.newest("digits", limit=1)[0].row
    ids = [live.new_id(row.at_us) for _ in names]
    live.ship([replace(row, id=id_, predicted=name) for id_, name in zip(ids, names, strict=True)])
    live.label([Label(prediction_id=id_, label=names[0]) for id_ in ids])

    out = shown(capsys, "--version", "2")

    assert ("TRUE, AS" in out) == is_shown
    assert (f"the confusion matrix of {classes} classes is in --json" in out) != is_shown


def test_labels_of_no_class_are_told_apart(live: Logged, capsys: Capture) -> None:
    """A label that came before its prediction may turn out to be none of its classes."""
    at_us = live.now_us - 1_000_000
    live.label(live.answer(50))
    early = live.new_id(at_us)
    live.label([Label(prediction_id=early, label="seven")])
    live.ship([replace(live.log.newest("digits", limit=1)[0].row, id=early)])

    assert "1 labels are no class of this version" in shown(capsys)


def test_before_anything_was_logged_the_next_step_is_told(live: Logged, capsys: Capture) -> None:
    """And looking makes no database where there is none: it would stand in the way of a restore."""
    assert "no prediction was logged in that time; next: fairlead serve" in shown(capsys)
    elsewhere = live.root / "elsewhere"

    assert "no prediction was logged" in shown(capsys, "--home", str(elsewhere))

    assert not elsewhere.exists()
    assert quality(capsys)["arms"] == []


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["nosuch"], "there is no model 'nosuch'"),
        (["digits", "--since", "7 days"], "--since is '7 days', which is no span"),
        (["digits", "--window", "0d"], "--window is '0d', which is no span"),
        (["digits", "--since", "9w", "--window", "1s"], "--since 9w has more than 1,000 windows of --window 1s"),
        (["digits", "--database-url", "nonsense"], "the database URL cannot be read"),
    ],
)
def test_misuse_is_said_with_the_value(live: Logged, capsys: Capture, flags: list[str], message: str) -> None:
    """Exit status 2, one line and the way on."""
    assert main(["quality", *flags]) == 2
    error = capsys.readouterr().err

    assert message in error
    assert "Traceback" not in error


def test_durations_are_in_units_that_people_use() -> None:
    """Seconds to days."""
    assert [_duration(seconds) for seconds in (0.2, 90, 5400, 172_800)] == ["0.2 s", "1.5 min", "1.5 h", "2.0 d"]
