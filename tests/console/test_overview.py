"""The first page."""

from __future__ import annotations

from tests.cli.logged import Logged

from fairlead.app.control import open_journal
from fairlead.console.traffic import parse
from fairlead.controller.journal import Action
from fairlead.servable.identity import ServableId
from fairlead.store.release import Candidate, Mode

from .conftest import Visitor
from .test_traffic import page


def test_it_tells_what_serves_and_what_is_tried(ann: Visitor, live: Logged) -> None:
    """With who said so and why; the same as JSON."""
    live.publish()
    live.store.try_candidate("digits", Candidate(version=2, mode=Mode.CANARY, weight=0.1, salt="x"), why="a try")
    text = ann.get("/").text
    for told in ("version 1", "version 2, canary 10.0 %", "a try", "tester"):
        assert told in text
    (model,) = ann.get("/api/").json()["models"]
    release = model["release"]
    assert (release["stable"], release["candidate"]["version"], release["revision"]) == (1, 2, 2)


def test_it_draws_what_the_server_counted(ann: Visitor) -> None:
    """From the second reading on; before, it says when there will be something to see."""
    assert "within ten seconds" in ann.get("/").text
    ann.history.add(parse(page(ok=100), 1000.0))
    ann.history.add(parse(page(ok=200), 1005.0))
    assert "Requests a second. Latest: digits: 0; digits@1: 20" in ann.get("/").text


def test_it_tells_what_needs_a_look(ann: Visitor, live: Logged) -> None:
    """Alarms, waiting rollouts and failed trainings of the last day, until a release followed them."""
    journal = open_journal(live.engine, "controller")
    journal.write(Action.ALARMED, model="digits", subject="1", why="ink fell by 1.1 sd")
    journal.write(Action.BACKED_UP, model="", subject="b1")
    (told,) = ann.get("/api/").json()["attention"]
    assert (told["text"], told["page"]) == ("digits 1 alarmed: ink fell by 1.1 sd", "/drift")
    assert "Look at this" in ann.get("/").text
    journal.write(Action.PROMOTED, model="digits", subject="2")
    assert ann.get("/api/").json()["attention"] == []


def test_a_database_that_cannot_be_read_is_told_and_hides_nothing_else(ann: Visitor, live: Logged) -> None:
    """What serves is known without it."""
    live.engine.dispose()
    (live.root / "home" / "fairlead.db").write_bytes(b"no database at all" * 100)
    text = ann.get("/").text
    assert "The database cannot be read" in text
    assert "version 1" in text


def test_a_damaged_release_hides_nothing_else(ann: Visitor, live: Logged) -> None:
    """It is told in its place."""
    (live.store.root / "digits" / "release.json").write_text("{")
    text = ann.get("/").text
    assert text.count("is not a release") == 2  # in its row, and among what needs a look


def test_an_empty_store_says_what_to_do(ann: Visitor, live: Logged) -> None:
    """The next command."""
    live.store.root.rename(live.store.root.with_name("elsewhere"))
    assert "fairlead train digits" in ann.get("/").text


def test_what_is_not_there_says_so(ann: Visitor) -> None:
    """On a page like the others, and as JSON to a program."""
    answer = ann.get("/nowhere")
    assert (answer.status_code, "there is no page at /console/nowhere" in answer.text) == (404, True)
    assert ann.get("/api/nowhere").json()["error"]["code"] == "NOT_FOUND"


def test_texts_run_nothing(ann: Visitor, live: Logged) -> None:
    """What people and models wrote is shown as text."""
    live.store.promote(ServableId("digits", live.publish().manifest.version), why="<script>alert(1)</script>")
    text = ann.get("/").text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text
