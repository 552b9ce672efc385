"""A PostgreSQL server of the tests' own: its own directory, a socket in it, and no other way in."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from fairlead.database.engine import migrate, open_engine
from fairlead.database.schema import metadata

_USER = "postgres"  # the server refuses to run as root
_SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "max_connections=50",
    "shared_buffers=64MB",
    "autovacuum=off",  # its visits hold up the making of databases
)


class PostgresServer:
    """The server in `home`, started, stopped and frozen by its own process id."""

    def __init__(self, binaries: Path, home: Path) -> None:
        self._binaries = binaries
        self._home = home
        self._log = home / "log"
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        _run(
            [
                *_as_user(),
                binaries / "initdb",
                "-D",
                home / "data",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
                "-U",
                _USER,
            ]
        )
        self.start()
        self._sql("postgres", "CREATE DATABASE migrated")
        engine = open_engine(self.url("migrated"))
        migrate(engine)
        engine.dispose()
        self._sql("postgres", "CREATE DATABASE emptied TEMPLATE migrated")

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._home / ".s.PGSQL.5432"

    def url(self, database: str, directory: Path | None = None) -> str:
        """How a client reaches `database`, or does so through a socket in another directory."""
        return f"postgresql+psycopg://{_USER}@/{database}?host={directory or self._home}"

    def database(self, *, template: str = "migrated", options: str = "") -> str:
        """The name of a new database with the tables in it, or a copy of another template."""
        name = f"test{next(self._numbers)}"
        self._sql("postgres", f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        return name

    def emptied(self) -> str:
        """The name of the one database that is emptied for whoever asks: much faster than a new one."""
        tables = ", ".join(metadata.tables)
        self._sql("emptied", f"TRUNCATE {tables} RESTART IDENTITY")
        return "emptied"

    def start(self) -> None:
        """Start it and wait until it answers. It ends with the thread that started it."""
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        server: list[str | Path] = [self._binaries / "postgres", "-D", self._home / "data", "-k", self._home]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*_as_user(), *server, *settings], stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: connections are cut, transactions rolled back. SIGQUIT is a crash."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing of it runs, and its sockets stay open."""
        assert self._process
        main = psutil.Process(self._process.pid)
        main.suspend()
        others = main.children(recursive=True)
        for process in others:
            process.suspend()
        try:
            yield
        finally:
            for process in [*others, main]:
                process.resume()

    def _answers(self) -> bool:
        return subprocess.run([self._binaries / "pg_isready", "-q", "-h", self._home], check=False).returncode == 0

    def _sql(self, database: str, statement: str) -> None:
        engine = create_engine(self.url(database), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server for as long as the tests run. Where there is none, they are skipped, and in CI they fail."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [Path(shutil.which("initdb") or "")]
    if found[-1] == Path():
        reason = "PostgreSQL is not installed: tools/install_test_packages.sh"
        fail_or_skip: Callable[[str], None] = pytest.fail if os.environ.get("CI") else pytest.skip
        fail_or_skip(reason)
    home = Path(tempfile.mkdtemp(prefix="fairlead-postgres-"))  # pytest's own directories are closed to other users
    if os.geteuid() == 0:
        shutil.chown(home, _USER, _USER)
    server = None
    try:
        server = PostgresServer(found[-1].parent, home)
        yield server
    finally:
        if server:
            server.stop(signal.SIGQUIT)  # its files go anyway
        shutil.rmtree(home)


def _as_user() -> list[str]:
    """What makes the rest of the command line run as an unprivileged user, and end with this process."""
    root = [f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *root, "--pdeathsig=INT", "--"]


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
