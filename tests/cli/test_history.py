"""`fairlead history`: what was done with a model, in the order in which it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.main import main
from fairlead.controller.journal import Action, Journal
from fairlead.servable.identity import ServableId

from .logged import Logged

Capture = pytest.CaptureFixture[str]
SECOND_US = 1_000_000


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """Two versions, of which each served."""
    live = Logged.begin(tmp_path, monkeypatch)
    live.publish()
    live.publish()
    live.clock_us = live.now_us - 100 * SECOND_US
    live.store.promote(ServableId("digits", 1), why="first")
    live.clock_us += 20 * SECOND_US
    live.store.promote(ServableId("digits", 2), why="better")
    return live


def note(live: Logged, action: Action, *, model: str = "digits", **how: Any) -> None:
    """Write into the journal, ten seconds after what came before."""
    live.clock_us += 10 * SECOND_US
    Journal(live.engine, now=live._now, who="controller").write(action, model=model, **how)


def test_releases_and_journal_are_one_story(live: Logged, capsys: Capture) -> None:
    """In order of time; what concerns all models is part of it, and other models are not."""
    note(live, Action.ALARMED, subject="2", why="ink fell\nby 0.6 sd")
    note(live, Action.ALARMED, model="messages", subject="1", why="nobody's business here")
    note(live, Action.BACKED_UP, model="", subject="20260302T020000Z")
    live.clock_us += 10 * SECOND_US
    live.store.rollback("digits", why="wrong on sevens")

    assert main(["history", "digits"]) == 0
    out, error = capsys.readouterr()

    lines = [line.split("  ", 1)[1] for line in out.splitlines()]
    assert lines == [
        "release 1  1 serves  by tester: first",
        "release 2  2 serves  by tester: better",
        "alarmed  digits 2  by controller: ink fell by 0.6 sd",
        "backed up  20260302T020000Z  by controller",
        "release 3  1 serves  by tester: wrong on sevens",
    ]
    assert error == ""


def test_the_newest_lines_are_kept_and_evidence_is_in_the_json(live: Logged, capsys: Capture) -> None:
    """For programs, with where each line comes from."""
    note(live, Action.ALARMED, subject="2", why="drift", evidence={"psi": 0.4})

    assert main(["history", "digits", "--limit", "2", "--json"]) == 0

    lines = json.loads(capsys.readouterr().out)["lines"]
    assert [line["in"] for line in lines] == ["releases", "journal"]
    assert (lines[0]["stable"], lines[0]["who"]) == (2, "tester")
    assert (lines[1]["action"], lines[1]["evidence"]) == ("alarmed", {"psi": 0.4})


def test_a_version_that_is_tried_is_in_its_release(live: Logged, capsys: Capture) -> None:
    """With how, and the journal's reason before it."""
    live.publish()
    assert main(["rollout", "start", "digits", "3", "--weights", "0.25", "--why", "sharper"]) == 0
    capsys.readouterr()

    assert main(["history", "digits", "--limit", "2"]) == 0

    started, release = capsys.readouterr().out.splitlines()
    assert "  started  digits 3  by " in started
    assert started.endswith(": sharper")
    assert "2 serves, 3 is tried (canary with a weight of 0.25)" in release


def test_the_store_alone_is_enough(live: Logged, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a database, or with one that does not answer: it says so, and tells what served."""
    for flags in (["--home", str(live.root / "elsewhere")], []):
        if not flags:
            monkeypatch.setenv("FAIRLEAD_DATABASE_URL", "postgresql://u:secret@127.0.0.1:9/x")
        assert main(["history", "digits", *flags]) == 0
        out, error = capsys.readouterr()
        assert out.count("release ") == 2
        assert "the store's releases alone" in error
        assert "secret" not in error
    assert not (live.root / "elsewhere").exists()


def test_of_a_model_that_is_not_there_nothing_is_told(live: Logged, capsys: Capture) -> None:
    """And of one that was only published, what to do next."""
    assert main(["history", "nosuch"]) == 2
    assert "there is no model 'nosuch'" in capsys.readouterr().err
    assert main(["history", "digits", "--limit", "0"]) == 2
    assert "--limit is 0" in capsys.readouterr().err


def test_before_the_first_release_the_next_step_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """A published version serves nobody yet."""
    Logged.begin(tmp_path, monkeypatch).publish()

    assert main(["history", "digits"]) == 0
    assert capsys.readouterr().out == ("nothing was done with digits yet; next: fairlead promote digits VERSION\n")
