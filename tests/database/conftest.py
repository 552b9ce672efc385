"""The same empty database twice: in a SQLite file, and on a PostgreSQL server that the tests start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from fairlead.database.engine import migrate, open_engine

from .postgres import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """The PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'fairlead.db'}"
    server: PostgresServer = request.getfixturevalue("server")
    return server.url(server.database(template="template0"))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A database with its tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'fairlead.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("server")
        url = server.url(server.emptied())
    engine = open_engine(url)
    migrate(engine)
    yield engine
    engine.dispose()
