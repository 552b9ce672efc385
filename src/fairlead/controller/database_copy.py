"""A database as one file, and back: SQLite by its backup interface, PostgreSQL by its own tools."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, inspect, make_url

from fairlead.database.engine import database_errors, open_engine
from fairlead.database.schema import metadata
from fairlead.errors import Code, FairleadError

__all__ = ["copy_database", "copy_sqlite", "is_empty_database", "load_dump", "sqlite_path"]

_TOOL_S = 3600.0
_CONNECT_S = "5"
_LOCK_MS = 10_000


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None for another database."""
    parsed = make_url(url)
    return Path(str(parsed.database)) if parsed.drivername == "sqlite" and parsed.database else None


def copy_database(url: str, target: Path) -> None:
    """Write the whole database, as it is at one moment, into the new file `target`; others may write meanwhile.

    Raises:
        FairleadError: DATA_LOSS for a damaged SQLite file, FAILED_PRECONDITION without PostgreSQL's tools, UNAVAILABLE
            when the server does not answer.
    """
    path = sqlite_path(url)
    if path is not None:
        copy_sqlite(path, target)
    else:
        wait = f"--lock-wait-timeout={_LOCK_MS}"  # it turns off the one that the connection asks for
        _run(url, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", wait, f"--file={target}")


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file that others may be writing, its log included, into the new file `target`.

    Raises:
        FairleadError: DATA_LOSS when it is damaged, UNAVAILABLE when it stays locked.
    """
    try:
        # In one step: a copy in several would begin anew with each write of another process.
        with closing(_connect(source)) as reader, closing(_connect(target)) as writer:
            reader.backup(writer, pages=-1)
            writer.execute("PRAGMA journal_mode=DELETE")
            (found,) = writer.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        raise FairleadError(Code.UNAVAILABLE, f"{source} cannot be copied: {error}", hint="fairlead doctor") from error
    except sqlite3.DatabaseError as error:
        raise FairleadError(Code.DATA_LOSS, f"{source} is damaged: {error}") from error
    if found != "ok":
        raise FairleadError(Code.DATA_LOSS, f"{source} is damaged: {found}")


def is_empty_database(url: str) -> bool:
    """Whether there is nothing that restoring would replace.

    Raises:
        FairleadError: UNAVAILABLE when it does not answer.
    """
    path = sqlite_path(url)
    if path is not None:
        return not path.exists()
    engine = open_engine(url)
    try:
        with database_errors(engine):
            return not inspect(engine).get_table_names()
    finally:
        engine.dispose()


def load_dump(url: str, dump: Path, script: Path) -> None:
    """Make a PostgreSQL database what `dump` holds: in one transaction, so entirely or not at all.

    Args:
        url: the database.
        dump: what `copy_database` wrote.
        script: a file to write for the while.

    Raises:
        FairleadError: FAILED_PRECONDITION without PostgreSQL's tools or when they refuse, UNAVAILABLE.
    """
    # Tables that a newer Fairlead made are not in the dump, and would stand in its way later.
    tables = ", ".join(sorted([*metadata.tables, "alembic_version"]))
    start = script.with_name(f"{script.name}.start")
    start.write_text(f"DROP TABLE IF EXISTS {tables} CASCADE;\n")
    try:
        _tool("pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", f"--file={script}", str(dump))
        _run(
            url,
            "psql",
            "-X",
            "-q",
            "--single-transaction",
            "--set=ON_ERROR_STOP=1",
            f"--file={start}",
            f"--file={script}",
        )
    finally:
        start.unlink(missing_ok=True)
        script.unlink(missing_ok=True)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _run(url: str, tool: str, *arguments: str) -> None:
    """Run one of PostgreSQL's tools on the database. The password goes by the environment, where nobody looks."""
    parsed = make_url(url)
    address = URL.create(
        "postgresql", parsed.username, None, parsed.host, parsed.port, parsed.database, parsed.query
    ).render_as_string()
    password = {"PGPASSWORD": str(parsed.password)} if parsed.password else {}
    _tool(tool, *arguments, f"--dbname={address}", extra=password)


def _tool(tool: str, *arguments: str, extra: dict[str, str] | None = None) -> None:
    program = shutil.which(tool)
    if program is None:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"copying a PostgreSQL database needs {tool}, which is not installed",
            hint="apt-get install postgresql-client",
        )
    environment = {
        **os.environ,
        **(extra or {}),
        "PGCONNECT_TIMEOUT": _CONNECT_S,
        "PGOPTIONS": f"-c lock_timeout={_LOCK_MS}",
    }
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are those above
            [program, *arguments], env=environment, capture_output=True, text=True, timeout=_TOOL_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FairleadError(Code.DEADLINE_EXCEEDED, f"{tool} took longer than {_TOOL_S:g} s") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        gone = "connection to server" in done.stderr
        raise FairleadError(
            Code.UNAVAILABLE if gone else Code.FAILED_PRECONDITION, f"{tool} failed: {reason}", hint="fairlead doctor"
        )
