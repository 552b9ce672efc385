"""The journal's page."""

from __future__ import annotations

from tests.cli.logged import Logged

from fairlead.app.control import open_journal
from fairlead.controller.journal import Action

from .conftest import Visitor
from .scene import HOSTILE


def test_entries_come_with_their_evidence(ann: Visitor, live: Logged) -> None:
    """The newest first; of one model, or of all."""
    journal = open_journal(live.engine, "bob")
    journal.write(Action.BACKED_UP, model="", subject="b1", why="every night")
    journal.write(Action.HELD, model="digits", subject="2", why=HOSTILE, evidence={"few": [1, 2, HOSTILE]})
    told = ann.get("/api/journal").json()
    assert [one["action"] for one in told["entries"]] == ["held", "backed_up"]
    assert [one["action"] for one in ann.get("/api/journal?model=digits").json()["entries"]] == ["held"]
    text = ann.get("/journal").text
    assert "&#34;few&#34;" in text
    assert "bob" in text
    assert "<script>document" not in text


def test_pages_of_fifty_lose_nothing(ann: Visitor, live: Logged) -> None:
    """The next begins after the last."""
    journal = open_journal(live.engine)
    for number in range(60):
        journal.write(Action.DELETED, model="digits", subject=str(number))
    first = ann.get("/api/journal").json()
    second = ann.get(f"/api/journal?after={first['older']}").json()
    subjects = [one["subject"] for one in first["entries"] + second["entries"]]
    assert subjects == [str(number) for number in reversed(range(60))]
    assert (f"after={first['older']}" in ann.get("/journal").text, second["older"]) == (True, None)


def test_an_empty_journal_says_what_will_be_in_it(ann: Visitor) -> None:
    """And how it begins."""
    assert "fairlead controller" in ann.get("/journal").text
