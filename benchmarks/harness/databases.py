"""PostgreSQL for the runs that need one: the server that the tests start."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.database.postgres import PostgresServer, postgres_server

__all__ = ["PostgresServer", "has_postgres", "postgres_server"]


def has_postgres() -> bool:
    """Whether it is installed."""
    return bool(shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")))
