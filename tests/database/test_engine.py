"""How the database is opened, and what becomes of a database that does not answer."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from fairlead.database.engine import Turn, database_errors, migrate, open_engine, reading, writing
from fairlead.database.schema import journal
from fairlead.errors import Code, FairleadError

from .postgres import PostgresServer, postgres_server

TIMEOUT_S = 2.0


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that may be stopped: nobody else's tests use it."""
    with postgres_server() as server:
        yield server


def ask(engine: Engine, query: str = "SELECT count(*) FROM journal") -> int:
    """One statement, as the rooms above make them."""
    with database_errors(engine), reading(engine) as connection:
        return int(connection.execute(text(query)).scalar_one())


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:", "oracle://host/name"]
)
def test_an_url_that_is_none_is_refused(url: str) -> None:
    """What is no URL of a SQLite file or of PostgreSQL is refused, and the forms that are known are named."""
    with pytest.raises(FairleadError) as refusal:
        open_engine(url)

    assert refusal.value.code is Code.INVALID_ARGUMENT


def test_the_short_form_means_psycopg() -> None:
    """`postgresql://` opens with the driver that is there."""
    assert open_engine("postgresql://somebody@nowhere/name").url.drivername == "postgresql+psycopg"


def test_an_error_does_not_tell_the_password(tmp_path: Path) -> None:
    """What a person reads of a server that is not there names it without the password."""
    engine = open_engine(f"postgresql://somebody:hush-hush@/name?host={tmp_path}", timeout_s=TIMEOUT_S)

    with pytest.raises(FairleadError, match="somebody:") as refusal:
        ask(engine)

    assert refusal.value.code is Code.UNAVAILABLE
    assert "hush" not in str(refusal.value)


def test_a_server_that_stopped_is_unavailable_until_it_is_back(own_server: PostgresServer) -> None:
    """The same engine fails fast while the server is away and works again once it is back."""
    engine = open_engine(own_server.url(own_server.database()), timeout_s=60.0)
    assert ask(engine) == 0

    own_server.stop()
    started = time.monotonic()
    with pytest.raises(FairleadError, match="does not answer") as refusal:
        ask(engine)
    assert refusal.value.code is Code.UNAVAILABLE
    assert time.monotonic() - started < 30

    own_server.start()
    assert ask(engine) == 0
    engine.dispose()


def test_a_frozen_server_is_unavailable_within_the_timeout(own_server: PostgresServer) -> None:
    """A server that goes silent with its connections open is given up, and works again once it goes on."""
    engine = open_engine(own_server.url(own_server.database()), timeout_s=TIMEOUT_S)
    assert ask(engine) == 0

    with own_server.frozen():
        started = time.monotonic()
        with pytest.raises(FairleadError, match="does not answer") as refusal:
            ask(engine)
        assert refusal.value.code is Code.UNAVAILABLE
        assert time.monotonic() - started < 2 * TIMEOUT_S + 20

    assert ask(engine) == 0
    engine.dispose()


def test_a_server_that_freezes_during_a_statement_is_given_up(own_server: PostgresServer) -> None:
    """A transaction that the server froze in is rolled back, and nothing of it is there afterwards."""
    engine = open_engine(own_server.url(own_server.database()), timeout_s=TIMEOUT_S)

    with pytest.raises(FairleadError, match="said nothing for 3 s") as refusal:  # noqa: SIM117, PT012 - two exits, two orders
        with database_errors(engine), writing(engine, Turn.LOG) as connection:
            _note(connection, "a")
            with own_server.frozen():
                _note(connection, "b")

    assert refusal.value.code is Code.UNAVAILABLE
    assert ask(engine) == 0
    engine.dispose()


def test_a_statement_that_takes_too_long_is_ended(own_server: PostgresServer) -> None:
    """A server that is alive but slow ends the statement itself, and the connection stays."""
    engine = open_engine(own_server.url(own_server.database()), timeout_s=0.2)

    with pytest.raises(FairleadError, match="statement timeout") as refusal:
        ask(engine, "SELECT pg_sleep(5)")

    assert refusal.value.code is Code.UNAVAILABLE
    engine.dispose()


def test_a_locked_sqlite_file_is_unavailable(tmp_path: Path) -> None:
    """A file that another process writes to for longer than the timeout is unavailable to write and still readable."""
    engine = open_engine(f"sqlite:///{tmp_path / 'fairlead.db'}", timeout_s=0.2)
    migrate(engine)
    other = sqlite3.connect(tmp_path / "fairlead.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    with pytest.raises(FairleadError, match="locked") as refusal, database_errors(engine), writing(engine, Turn.LOG):
        pytest.fail("the lock was there")

    assert refusal.value.code is Code.UNAVAILABLE
    assert ask(engine) == 0
    other.close()
    engine.dispose()


def test_a_mistake_is_no_outage(engine: Engine) -> None:
    """A statement that can never succeed is an internal error, so that nobody waits for it to pass."""
    with pytest.raises(FairleadError, match="refuses") as refusal:
        ask(engine, "SELECT * FROM no_such_table")

    assert refusal.value.code is Code.INTERNAL


def test_a_file_that_is_no_database_is_no_outage(tmp_path: Path) -> None:
    """A file of something else is refused as it is, and left as it is."""
    path = tmp_path / "fairlead.db"
    path.write_bytes(b"dear diary" * 1000)
    engine = open_engine(f"sqlite:///{path}")

    with pytest.raises(FairleadError, match="not a database") as refusal:
        migrate(engine)

    assert refusal.value.code is Code.INTERNAL
    assert path.read_bytes() == b"dear diary" * 1000


def test_what_json_does_not_know_becomes_null(engine: Engine) -> None:
    """NaN and infinities in a JSON column are null on both databases, and stop nobody."""
    with writing(engine, Turn.LOG) as connection:
        _note(connection, "a", {"score": [float("nan"), float("inf"), 0.5]})

    with reading(engine) as connection:
        assert connection.execute(journal.select()).one().evidence == {"score": [None, None, 0.5]}


def test_rows_become_visible_in_the_order_of_their_numbers(engine: Engine) -> None:
    """A writer waits until the one before it has committed, so that a reader's last number skips no row."""
    script = (
        "import sys; from fairlead.database.engine import *; from sqlalchemy import text\n"
        "engine = open_engine(sys.argv[1])\n"
        "with writing(engine, Turn.LOG): print('in', flush=True); sys.stdin.readline()\n"
        "print('out', flush=True)"
    )
    url = engine.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", script, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "in\n"
        impatient = open_engine(url, timeout_s=0.2)
        with pytest.raises(FairleadError), database_errors(impatient), writing(impatient, Turn.LOG):
            pytest.fail("it was not our turn")
        other.stdin.write("\n")
        other.stdin.flush()
        assert other.stdout.readline() == "out\n"
        impatient.dispose()
        with writing(engine, Turn.LOG) as connection:
            _note(connection, "ours")


def _note(connection: object, key: str, evidence: object = None) -> None:
    connection.execute(  # type: ignore[attr-defined] # what `writing` gives
        journal.insert(),
        {
            "at_us": 1,
            "who": "tester",
            "action": "note",
            "model": "m",
            "subject": "s",
            "why": "",
            "evidence": evidence or {},
            "key": key,
        },
    )
