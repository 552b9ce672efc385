"""Opens the database: SQLite in a file, or PostgreSQL by its URL."""

from __future__ import annotations

import enum
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    SQLAlchemyError,
)
from sqlalchemy.exc import (
    TimeoutError as PoolTimeoutError,
)

from fairlead.errors import Code, FairleadError

__all__ = ["Turn", "database_errors", "insert", "migrate", "open_engine", "reading", "writing"]

_MIGRATIONS = Path(__file__).parent / "migrations"
_RETRY_S = 0.01
_READS = "fairlead_reads"
_PASSING_CLASSES = ("08", "40", "53", "55", "57", "58")  # connection, rollback, resources, state, operator, system
_READ_ONLY = "25006"  # a server that is no longer the primary
_PASSING_SQLITE = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
)


class Turn(enum.IntEnum):
    """What writers take turns at, so that rows become visible in the order of their numbers.

    A reader that goes on after the last number it saw would otherwise miss a row with a smaller number whose
    transaction ended later. The values are PostgreSQL's advisory locks; SQLite has one writer at a time anyway.
    """

    MIGRATION = 0x6661_6972
    LOG = 0x6661_6973
    LABELS = 0x6661_6974


def open_engine(url: str, *, timeout_s: float = 10.0) -> Engine:
    """A pool of connections; none is made yet. The same pool works again after the server was away.

    Values of JSON columns that JSON does not know (NaN, infinities) become null.

    Args:
        url: `sqlite:///PATH`, `postgresql+psycopg://...`, or `postgresql://...`, which means the same.
        timeout_s: how long a statement, a lock or a silent server is waited for. An operation on a frozen server
            fails within about twice that: once for the connection it had, once for a new one.

    Raises:
        FairleadError: INVALID_ARGUMENT for a URL that is none, FAILED_PRECONDITION when its driver is not installed.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername == "postgresql+psycopg":
            return _open_postgresql(parsed, timeout_s)
        if parsed.drivername == "sqlite" and parsed.database not in (None, "", ":memory:"):
            return _open_sqlite(parsed, timeout_s)
    except ArgumentError as error:
        raise FairleadError(Code.INVALID_ARGUMENT, f"the database URL cannot be read: {error}") from error
    except (NoSuchModuleError, ImportError) as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the driver of {parsed.render_as_string()} is not installed: {error}",
            hint="pip install 'fairlead[postgresql]'",
        ) from error
    except OSError as error:
        raise FairleadError(Code.FAILED_PRECONDITION, f"{parsed.database} cannot be made: {error}") from error
    raise FairleadError(
        Code.INVALID_ARGUMENT,
        f"{parsed.render_as_string()} is no database that Fairlead knows",
        hint="sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME",
    )


def migrate(engine: Engine) -> None:
    """Bring the tables up to date. Several processes may do so at once; one of them does.

    Raises:
        FairleadError: FAILED_PRECONDITION when a newer Fairlead made them, UNAVAILABLE when nothing answers.
    """
    script = ScriptDirectory(str(_MIGRATIONS))
    with database_errors(engine), writing(engine, Turn.MIGRATION) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == script.get_current_head():
            return
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"the database was made by a newer Fairlead: its revision is {current}",
                hint="pip install --upgrade fairlead",
            )
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def database_errors(engine: Engine) -> Iterator[None]:
    """Turn what the driver raises into UNAVAILABLE, or INTERNAL for what will not go away by itself."""
    try:
        yield
    except SQLAlchemyError as error:
        where = engine.url.render_as_string()  # without the password
        reason = str(error.orig if isinstance(error, DBAPIError) else error).strip().split("\n")[0]
        passing = _is_passing(error)
        raise FairleadError(
            Code.UNAVAILABLE if passing else Code.INTERNAL,
            f"the database {where} {'does not answer' if passing else 'refuses'}: {reason}",
            hint="fairlead doctor",
        ) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: on SQLite it waits for no writer, and no writer for it."""
    with engine.connect().execution_options(**{_READS: True}) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine, turn: Turn) -> Iterator[Connection]:
    """A transaction that begins when it is this writer's turn, and is committed at the end."""
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:turn)"), {"turn": int(turn)})
        yield connection


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """The dialect's INSERT, which knows ON CONFLICT."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _open_postgresql(url: URL, timeout_s: float) -> Engine:
    from fairlead.database.bounded import BoundedConnection  # noqa: PLC0415 - the driver is an extra

    timeout_ms = math.ceil(timeout_s * 1000)
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED",  # whatever the server's default: a turn must see what came before it
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        pool_pre_ping=True,
        pool_timeout=timeout_s,
        connect_args={
            "client_encoding": "utf8",
            "connect_timeout": max(2, math.ceil(timeout_s)),  # libpq takes no less
            "options": f"-c statement_timeout={timeout_ms} -c lock_timeout={timeout_ms}",
        },
    )

    def connect(_dialect: object, _record: object, args: Any, kwargs: Any) -> BoundedConnection:
        connection = BoundedConnection.connect(*args, **kwargs)
        connection.silence_s = timeout_s + 1.0  # a server that is alive says first that time is up
        return connection

    event.listen(engine, "do_connect", connect)
    return engine


def _open_sqlite(url: URL, timeout_s: float) -> Engine:
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url, json_serializer=_dumps, json_deserializer=orjson.loads, connect_args={"timeout": timeout_s}
    )

    def set_up(connection: Any, _record: object) -> None:
        """Let readers go on while one writes; what is deleted is overwritten; SQLAlchemy alone begins transactions."""
        connection.isolation_level = None
        _write_ahead(connection, timeout_s)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _dumps(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _is_passing(error: SQLAlchemyError) -> bool:
    """Whether the same statement may succeed later: locked, full, starting up, cut off, out of time."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, PoolTimeoutError)
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate is not None:
        return sqlstate[:2] in _PASSING_CLASSES or sqlstate == _READ_ONLY
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _PASSING_SQLITE
    return error.connection_invalidated or type(error.orig).__name__ in ("OperationalError", "ConnectionTimeout")


def _write_ahead(connection: sqlite3.Connection, timeout_s: float) -> None:
    """Turn the log on. Of several who do so first at once SQLite refuses some without waiting: they wait here."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


def _begin(connection: Connection) -> None:
    """Take the write lock at once: a transaction that asks for it halfway is refused without waiting."""
    reads = connection.get_execution_options().get(_READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
