"""Recent predictions in the console, and the form that labels them."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from tests.cli.logged import Logged

from fairlead.app.control import open_journal
from fairlead.monitoring.prediction import PredictionRow

from .conftest import Visitor
from .scene import HOSTILE


def row(live: Logged, predicted: str = "7", *, version: int = 1, inputs: bytes | None = None) -> PredictionRow:
    """One logged answer."""
    found = PredictionRow(
        id=live.new_id(live.clock_us),
        at_us=live.clock_us,
        model="digits",
        version=version,
        arm="stable",
        latency_us=900,
        predicted=predicted,
        confidence=0.9,
        inputs=inputs,
    )
    live.ship([found])
    return found


def accuracy(visitor: Visitor) -> float | None:
    """What the page of quality says now."""
    (arm,) = visitor.get("/api/quality").json()["arms"]
    return None if arm["accuracy"] is None else float(arm["accuracy"]["value"])


def test_a_label_changes_the_accuracy(ann: Visitor, live: Logged) -> None:
    """At once, in the user's name; a correction counts in place of what was said before."""
    right, wrong = row(live), row(live, "1")
    assert accuracy(ann) is None
    for prediction, label in ((right.id, "7"), (wrong.id, "7")):
        ann.submit("/predictions/label", prediction=prediction, label=label, next="/console/predictions")
    assert accuracy(ann) == 0.5
    assert f"7 is the label of {wrong.id}. It counts from now on." in ann.get("/predictions").text
    ann.submit("/predictions/label", prediction=wrong.id, label="1")
    assert accuracy(ann) == 1.0
    entry = open_journal(live.engine).read("digits")[0]
    assert (entry.action, entry.subject, entry.who) == ("labelled", wrong.id, "ann")
    assert entry.why == "the truth is 1, the answer was 1"
    assert [one["label"] for one in ann.get("/api/predictions").json()["rows"]] == ["1", "7"]


def test_a_label_is_written_down_as_it_is_kept(ann: Visitor, live: Logged) -> None:
    """What it says of people is redacted in the journal too."""
    live.publish(labels=())
    answered = row(live, version=2)
    ann.submit("/predictions/label", prediction=answered.id, label="ask jane.doe@example.org")
    entry = open_journal(live.engine).read("digits")[0]
    assert "jane.doe" not in entry.why + str(entry.evidence)
    assert "the truth is ask " in entry.why
    assert "jane.doe" not in ann.get("/predictions").text


@pytest.mark.parametrize(
    ("prediction", "label", "told"),
    [
        ("", "7", "is no prediction&#39;s id"),
        (None, "", "is no label"),
        (None, "cat", "is no class of digits version 1"),
    ],
)
def test_a_label_that_cannot_be_is_told(
    ann: Visitor, live: Logged, prediction: str | None, label: str, told: str
) -> None:
    """Nothing is kept of it."""
    known = row(live)
    ann.submit("/predictions/label", prediction=known.id if prediction is None else prediction, label=label)
    assert told in ann.get("/predictions").text
    assert accuracy(ann) is None
    assert open_journal(live.engine).read("digits") == ()


def test_they_are_chosen_and_turned_over(ann: Visitor, live: Logged) -> None:
    """By version and arm, fifty at a time, the newest first."""
    live.answer(60)
    live.answer(5, version=2, arm="candidate")
    first = ann.get("/api/predictions").json()
    assert (len(first["rows"]), first["rows"][0]["version"]) == (50, 2)
    second = ann.get(f"/api/predictions?before={first['older']}").json()
    assert (len(second["rows"]), second["older"]) == (15, None)
    ids = [one["id"] for one in first["rows"] + second["rows"]]
    assert len(set(ids)) == 65
    assert len(ann.get("/api/predictions?version=2&arm=candidate").json()["rows"]) == 5
    assert ann.get("/api/predictions?version=1&arm=number").json()["rows"] == []
    assert f"before={first['older']}" in ann.get("/predictions").text


def test_an_input_that_is_a_picture_is_shown(ann: Visitor, live: Logged) -> None:
    """As it was, whether its shades go to 1 or to 255; other inputs, and damaged ones, are not."""
    picture = np.zeros((28, 28, 1), np.float32)
    picture[4:24, 12:16] = 1.0
    for array in (picture, (255 * picture[..., 0]).astype(np.uint8), np.arange(4.0), np.full((4, 4, 7), 0.5)):
        file = io.BytesIO()
        np.savez_compressed(file, image=array)
        row(live, inputs=file.getvalue())
    row(live, inputs=b"damaged")
    shown = [one["picture"] for one in ann.get("/api/predictions").json()["rows"]]
    assert shown[:3] == ["", "", ""]
    for picture_shown in shown[3:]:
        data = base64.b64decode(picture_shown.removeprefix("data:image/png;base64,"))
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), (255 * picture[..., 0]).astype(np.uint8))
    assert ann.get("/predictions").text.count('<img class="input"') == 2


def test_what_a_model_answered_is_text(ann: Visitor, live: Logged) -> None:
    """Whatever its classes are called, and whatever somebody says the truth was."""
    live.publish(labels=["7", HOSTILE])
    answered = row(live, HOSTILE, version=2)
    ann.submit("/predictions/label", prediction=answered.id, label=HOSTILE)
    for page in ("/predictions", "/quality", "/journal"):
        text = ann.get(page).text
        assert "<script>document" not in text
        assert "&lt;script&gt;document" in text
