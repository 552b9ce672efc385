"""Quality and drift in the console."""

from __future__ import annotations

import pytest
from tests.cli.logged import DIGITS, Logged

from .conftest import Visitor

HOUR_US = 3_600_000_000


def test_accuracy_and_delay_are_drawn_over_time(ann: Visitor, live: Logged) -> None:
    """By version and arm; each hour its own labels, and how long they took."""
    for hours in (5, 3, 1):
        labels = live.answer(40, age_us=hours * HOUR_US)
        live.label(labels, delay_us=-hours * HOUR_US + 600_000_000)
    (arm,) = ann.get("/api/quality").json()["arms"]
    assert arm["name"] == "version 1, stable"
    assert len(arm["windows"]) == 3
    assert all(500 < window["delay_median_s"] < 700 for window in arm["windows"])
    text = ann.get("/quality").text
    assert "Accuracy of the labelled rows. Latest: version 1, stable: " in text
    assert "version 1, stable: half of the labels within: 10 min" in text
    assert "Confusions of version 1, stable" in text


def test_of_many_classes_those_that_occurred_are_shown(ann: Visitor, live: Logged) -> None:
    """A table of a thousand tells nobody anything."""
    live.publish(labels=[*DIGITS, *(f"rare-{number}" for number in range(1000))])
    live.label(live.answer(40, version=2))
    text = ann.get("/quality").text
    assert "Classes of version 2, stable" in text
    assert "rare-1" not in text
    assert "Confusions" not in text


def test_another_span_is_another_window(ann: Visitor, live: Logged) -> None:
    """What is older than a day is seen in a week; a span that is none means a day."""
    live.answer(40, age_us=50 * HOUR_US)
    assert "No answer with a class was logged" in ann.get("/quality").text
    assert ann.get("/api/quality?span=7d").json()["arms"][0]["rows"] == 40
    assert ann.get("/api/quality?span=<script>").json()["span"] == "24h"


def test_rows_without_labels_say_what_to_do(ann: Visitor, live: Logged) -> None:
    """Their estimate is shown all the same."""
    live.answer(600)
    text = ann.get("/quality").text
    assert "fairlead labels import FILE" in text
    assert "about " in text


def test_drift_is_drawn_beside_the_reference(ann: Visitor, live: Logged) -> None:
    """Numbers over common bins, classes side by side; what drifted comes first, with the reason."""
    live.answer(600, brightness=0.3)
    told = ann.get("/api/drift").json()
    assert (told["version"], told["rows"], told["state"]) == (1, 600, "drifted")
    first = told["features"][0]
    assert first["is_drifted"]
    assert sum(first["shares"]["reference"]) == pytest.approx(1.0)
    assert sum(first["shares"]["current"]) == pytest.approx(1.0)
    assert len(first["edges"]) == len(first["shares"]["current"]) + 1
    assert {one["feature"] for one in told["features"]} >= {"predicted", "confidence", first["feature"]}
    text = ann.get("/drift").text
    assert "fell by" in text
    assert "reference is highest from" in text


def test_too_few_rows_are_no_verdict(ann: Visitor, live: Logged) -> None:
    """They are drawn, and nothing is said of them."""
    live.answer(20)
    told = ann.get("/api/drift").json()
    assert (told["state"], len(told["features"]) > 2) == ("inconclusive", True)
    assert "too few to tell" in ann.get("/drift").text


def test_a_version_without_a_reference_says_why(ann: Visitor, live: Logged) -> None:
    """There is nothing to compare with."""
    live.publish(reference=False)
    live.answer(20, version=2)
    assert "there is no reference" in ann.get("/drift?version=2").text


def test_without_answers_or_models_it_says_what_to_do(ann: Visitor, live: Logged) -> None:
    """On both pages; a model that is not there is told."""
    for page in ("/quality", "/drift"):
        assert "fairlead serve --prediction-log on" in ann.get(page).text
        answer = ann.get(f"{page}?model=<script>alert(1)</script>")
        assert (answer.status_code, "<script>alert" in answer.text) == (404, False)
    assert ann.get("/drift?version=x").status_code == 400
    live.store.root.rename(live.store.root.with_name("elsewhere"))
    for page in ("/quality", "/drift", "/predictions", "/training"):
        assert "fairlead train digits" in ann.get(page).text
