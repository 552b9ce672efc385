"""The journal keeps what was written, in order, once for each key."""

from __future__ import annotations

import inspect
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from fairlead.controller import journal as module
from fairlead.controller.journal import Action, Journal
from fairlead.errors import Code, FairleadError

AT = datetime(2026, 3, 2, 2, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def journal(engine: Engine) -> Journal:
    """An empty journal that the controller writes."""
    return Journal(engine, now=lambda: AT, who="controller")


def test_an_entry_is_read_as_it_was_written(journal: Journal) -> None:
    """Who, what, when, why and on what evidence."""
    evidence = {"accuracy": 0.81, "labels": 400, "guards": {"latency": [1, 2.5, None, True]}, "note": "Grüße ✓"}

    written = journal.write(
        Action.ROLLED_BACK, model="digits", subject="4", why="accuracy fell", evidence=evidence, key="rollout 7 end"
    )

    (read,) = journal.read("digits")
    assert read == written
    assert (read.at, read.who, read.action, read.subject) == (AT, "controller", Action.ROLLED_BACK, "4")
    assert read.evidence == evidence


def test_the_same_key_writes_once_and_tells_the_first_entry(journal: Journal) -> None:
    """A step that is tried again after a death is one line."""
    first = journal.write(Action.PUBLISHED, model="digits", subject="4", why="first", key="pass 1 publish")
    second = journal.write(Action.PUBLISHED, model="digits", subject="4", why="second", key="pass 1 publish")

    assert second == first
    assert len(journal.read()) == 1


def test_the_same_key_from_many_at_once_is_one_line(journal: Journal) -> None:
    """Eight threads, one entry, and all are told it."""
    with ThreadPoolExecutor(8) as pool:
        told = set(
            pool.map(lambda n: journal.write(Action.LED, model="", why=str(n), key="one").seq, range(32), chunksize=1)
        )

    assert len(told) == 1
    assert len(journal.read()) == 1


def test_what_has_no_key_is_written_each_time(journal: Journal) -> None:
    """Two equal lines are two lines."""
    for _ in range(2):
        journal.write(Action.HELD, model="digits", why="too little traffic")

    assert len(journal.read()) == 2


def test_the_newest_come_first_and_pages_follow_each_other(journal: Journal) -> None:
    """Of one model or of all, without a gap and without an entry twice."""
    for number in range(7):
        journal.write(Action.STEPPED, model="digits" if number % 2 else "messages", subject=str(number))

    everything = [entry.subject for entry in journal.read()]
    pages: list[str] = []
    after = None
    while page := journal.read(limit=3, after=after):
        pages += [entry.subject for entry in page]
        after = page[-1].seq

    assert everything == ["6", "5", "4", "3", "2", "1", "0"]
    assert pages == everything
    assert [entry.subject for entry in journal.read("digits", limit=2)] == ["5", "3"]
    assert journal.read("other") == ()


@pytest.mark.parametrize("field", ["model", "subject", "key"])
def test_a_name_too_long_is_refused(journal: Journal, field: str) -> None:
    """With its length and beginning, and nothing is written."""
    named: dict[str, Any] = {"model": "digits", field: "x" * 129}

    with pytest.raises(FairleadError) as caught:
        journal.write(Action.HELD, **named)

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "129 characters" in caught.value.message
    assert journal.read() == ()


def test_a_reason_too_long_is_cut_and_says_so(journal: Journal) -> None:
    """A step does not fail for its reason."""
    entry = journal.write(Action.FAILED, model="digits", why="y" * 100_000)

    assert len(entry.why) == 4000
    assert entry.why.endswith("y [cut]")


def test_numbers_that_json_lacks_keep_their_names(journal: Journal) -> None:
    """An infinite e-value is evidence too."""
    journal.write(Action.ROLLED_BACK, model="digits", evidence={"e": math.inf, "nan": [math.nan]})

    assert journal.read()[0].evidence == {"e": "inf", "nan": ["nan"]}


def test_evidence_that_is_no_json_is_named(journal: Journal) -> None:
    """The place and the type."""
    with pytest.raises(FairleadError) as caught:
        journal.write(Action.HELD, model="digits", evidence={"a": [1, {"b": AT}]})

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "evidence.a[1].b is a datetime" in caught.value.message


@given(text=st.text(st.characters(), max_size=60))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_can_be_written_and_read(journal: Journal, text: str) -> None:
    """What no database takes is shown as unknown, all else as it is."""
    entry = journal.write(Action.HELD, model="digits", subject=text, why=text, evidence={text: text})

    read = journal.read(limit=1)[0]
    assert read == entry
    if text.isprintable():
        assert (read.subject, read.why) == (text, text)


def test_who_lost_the_right_writes_nothing(engine: Engine) -> None:
    """The fence is asked in the transaction of the write."""

    def lost(connection: Connection) -> None:
        assert connection.in_transaction()
        raise FairleadError(Code.ABORTED, "no longer the leader")

    with pytest.raises(FairleadError) as caught:
        Journal(engine, now=lambda: AT, who="slept", fence=lost).write(Action.LED, model="")

    assert caught.value.code is Code.ABORTED
    assert Journal(engine, now=lambda: AT, who="reader").read() == ()


def test_a_clock_set_back_does_not_change_the_order(engine: Engine) -> None:
    """Entries are ordered by their place, not by their time."""
    for hours in (5, 1):
        Journal(engine, now=partial(AT.__add__, timedelta(hours=hours)), who="c").write(
            Action.HELD, model="", subject=str(hours)
        )

    assert [entry.subject for entry in Journal(engine, now=lambda: AT, who="c").read()] == ["1", "5"]


def test_nothing_in_it_changes_or_removes_an_entry() -> None:
    """The module knows how to insert and to select."""
    source = inspect.getsource(module)

    assert "update(" not in source
    assert "delete(" not in source
    assert {name for name in vars(Journal) if not name.startswith("_")} == {"write", "read"}
