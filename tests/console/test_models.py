"""Models in the console: versions, verdicts, lineage, what differs, and the buttons that change what serves."""

from __future__ import annotations

import pytest
from tests.cli.logged import Logged

from fairlead.app.control import open_journal
from fairlead.app.graphs import publish_graph
from fairlead.config import Settings
from fairlead.controller.journal import Entry
from fairlead.servable.graph.spec import GraphSpec

from .conftest import Visitor
from .scene import HOSTILE, publish_judged


@pytest.fixture
def two(live: Logged) -> Logged:
    """Version 2 serves, and 3 was made with it; both were judged."""
    for accuracy in (0.95, 0.97):
        publish_judged(live, accuracy)
    live.store.promote(live.store.manifest(live.id(2)).id, why="better")
    return live


def journal(live: Logged) -> Entry:
    """The newest entry."""
    return open_journal(live.engine).read("digits")[0]


def test_a_model_shows_its_versions_and_releases(ann: Visitor, two: Logged) -> None:
    """The newest first, with what serves and what the gate said."""
    told = ann.get("/api/models/digits").json()
    assert [one["version"] for one in told["versions"]] == [3, 2, 1]
    assert told["versions"][1]["serves_as"] == ["stable"]
    assert told["versions"][0]["verdict"] == "passed"
    assert [one["why"] for one in told["history"]] == ["better", "first"]
    text = ann.get("/models/digits").text
    assert "97.0 %" in text
    assert text.index("better") < text.index("first")


def test_of_many_releases_the_newest_are_shown(ann: Visitor, two: Logged) -> None:
    """And the command that lists all."""
    for number in range(105):
        two.store.promote(two.id(1 + number % 2), why=f"turn {number}")
    told = ann.get("/api/models/digits").json()
    assert (len(told["history"]), told["releases"], told["history"][0]["why"]) == (100, 107, "turn 104")
    assert "fairlead history digits --limit 107" in ann.get("/models/digits").text


def test_a_graph_shows_what_it_declares(ann: Visitor, two: Logged) -> None:
    """Its members, how long each is waited for, and what becomes of a request without them."""
    members = [{"version": f"digits@{number}", "deadline_ms": 30} for number in (1, 2)]
    spec = GraphSpec.from_json({"kind": "average", "members": members, "quorum": 1})
    publish_graph(Settings(home=two.store.root.parent / "graphs", store=two.store.root), "both", spec)
    told = ann.get("/api/models/both/1").json()
    assert (told["graph"]["kind"], told["graph"]["members.1.version"]) == ("average", "digits@2")
    assert "members.1.deadline_ms" in ann.get("/models/both/1").text
    assert "members.1.deadline_ms" not in ann.get("/models/digits/2").text


def test_a_damaged_version_says_so(ann: Visitor, two: Logged) -> None:
    """In its place; the others are shown, and it is not offered."""
    (two.store.root / "digits" / "3" / "manifest.json").write_text("{")
    text = ann.get("/models/digits").text
    assert "is not a manifest" in text
    assert "<option>3" not in text.split("Compare")[0]


def test_a_version_shows_what_it_says_of_itself(ann: Visitor, two: Logged) -> None:
    """Figures, each check of the gate, lineage, files; a text of somebody else's making is a text."""
    text = ann.get("/models/digits/3").text
    for told in ("0.1030", "the worst class is", "data.source", "golden.npz", "class recall", "94.0 %"):
        assert told in text or told.rstrip("0") in text
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text


def test_two_versions_beside_each_other(ann: Visitor, two: Logged) -> None:
    """What differs comes with the difference; the rest counts as the same."""
    told = ann.get("/api/models/digits/compare?left=2&right=3").json()
    parts = {part["name"]: {row["key"]: row for row in part["rows"]} for part in told["parts"]}
    assert parts["Metrics"]["accuracy"]["change"] == pytest.approx(0.02)
    assert parts["Lineage"]["data.source"]["is_same"]
    assert not parts["Lineage"]["libraries.numpy"]["is_same"]
    assert "+0.02" in ann.get("/models/digits/compare?left=2&right=3").text


def test_what_is_no_version_is_told(ann: Visitor, two: Logged) -> None:
    """On a page."""
    for path, status in (
        ("/models/elsewhere", 404),
        ("/models/digits/9", 404),
        ("/models/digits/x", 400),
        ("/models/digits/compare?left=1", 400),
    ):
        answer = ann.get(path)
        assert (path, answer.status_code, "That did not work" in answer.text) == (path, status, True)


def test_a_promotion_by_button_stands_in_the_journal(ann: Visitor, two: Logged) -> None:
    """With the user's name and reason, in the release too; the page that follows tells."""
    answer = ann.submit("/models/digits/promote", version="3", why="  it is\nbetter ", next="/console/models/digits")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/models/digits")
    assert "Version 3 of digits serves: release 3." in ann.get("/models/digits").text
    release = two.store.release("digits")
    assert release is not None
    assert (release.stable, release.who, release.why) == (3, "ann", "it is better")
    entry = journal(two)
    assert (entry.action, entry.subject, entry.who, entry.why) == ("promoted", "3", "ann", "it is better")


def test_a_rollback_by_button_stands_in_the_journal(ann: Visitor, two: Logged) -> None:
    """Under the version that went; a repeat changes nothing."""
    ann.submit("/models/digits/rollback", version="1", why="wrong on sevens")
    release, entry = two.store.release("digits"), journal(two)
    assert release is not None
    assert (release.stable, release.who) == (1, "ann")
    assert (entry.action, entry.subject, entry.who) == ("rolled_back", "2", "ann")
    assert entry.evidence == {"revision": 3, "stable": 1, "before": 2}


def test_without_a_reason_nothing_is_done(ann: Visitor, two: Logged) -> None:
    """And the page says so."""
    for why, told in (("", "a reason is missing"), (" \n ", "a reason is missing"), ("x" * 1001, "1,001 characters")):
        ann.submit("/models/digits/rollback", version="1", why=why)
        assert told in ann.get("/").text
    release = two.store.release("digits")
    assert release is not None
    assert release.stable == 2


def test_a_release_needs_no_database(ann: Visitor, two: Logged) -> None:
    """The store alone is enough; that the journal is behind is told."""
    two.engine.dispose()
    (two.root / "home" / "fairlead.db").write_bytes(b"no database at all" * 100)
    ann.submit("/models/digits/rollback", version="1", why="it must be now")
    release = two.store.release("digits")
    assert release is not None
    assert release.stable == 1
    assert "The journal could not note it" in ann.get("/models").text


def test_what_nobody_can_do_is_told_and_changes_nothing(ann: Visitor, two: Logged) -> None:
    """A version that is not there, and one that serves already."""
    ann.submit("/models/digits/promote", version="9", why="try")
    assert "has no version 9" in ann.get("/models").text
    ann.submit("/models/digits/promote", version="2", why="try")
    assert "served already" in ann.get("/models").text
    release = two.store.release("digits")
    assert release is not None
    assert release.revision == 2


def test_nobody_changes_anything_from_elsewhere(ann: Visitor, two: Logged) -> None:
    """A form of another site, and one without the session's token, are refused; so is whoever is signed out."""
    fields = {"version": "1", "why": "forged", "csrf": ann.token}
    for headers, sent in (
        ({"sec-fetch-site": "cross-site"}, fields),
        ({"origin": "https://elsewhere.example", "sec-fetch-site": "same-site"}, fields),
        ({}, {**fields, "csrf": "wrong"}),
        ({}, {"version": "1", "why": "forged"}),
    ):
        assert ann.post("/models/digits/rollback", sent, **headers).status_code == 403
    ann.submit("/logout")
    answer = ann.post("/models/digits/rollback", {**fields, "next": "/console/models/digits"})
    assert answer.headers["location"] == "/console/login?next=%2Fconsole%2Fmodels%2Fdigits&expired=1"
    release = two.store.release("digits")
    assert release is not None
    assert release.stable == 2
