"""Three hosts on one store and one PostgreSQL, each with its own way to both, which can be cut."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from tests.cli.conftest import Server, starting
from tests.database.cutting import Cutter, cutter
from tests.database.postgres import PostgresServer, postgres_server

from fairlead.database.engine import open_engine
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

PICTURE = json.dumps({"instances": [[[[0.0]] * 28] * 28]}).encode()


@dataclass
class Host:
    """One server, with what is on its machine.

    Attributes:
        server: the running process.
        store: where this host sees the store: a link, as a mount would be.
        line: what its connections to the database go through.
        socket: where the database's socket is for this host.
    """

    server: Server
    store: Path
    line: Cutter
    socket: Path

    def predict(self, key: str) -> dict[str, Any]:
        """The answer to a picture of a caller with that sticky key."""
        status, body = self.server.call("POST", "/predict", PICTURE, {"x-sticky-key": key})
        assert status == 200, body
        return {"version": body["version"], "id": body["predictions"][0]["prediction_id"]}

    def cut_off(self) -> None:
        """Neither the store nor the database is there any more."""
        self.store.rename(self.store.with_name("away"))
        self.socket.rename(self.socket.with_name("away.sock"))
        self.line.cut()

    def join_again(self) -> None:
        """Both are back."""
        self.store.with_name("away").rename(self.store)
        self.socket.with_name("away.sock").rename(self.socket)


@dataclass
class Fleet:
    """The hosts, and what they share."""

    hosts: list[Host]
    store: WritableStore
    engine: Engine


@pytest.fixture(scope="module")
def database_server() -> Iterator[PostgresServer]:
    """For all tests here."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def fleet(database_server: PostgresServer, store: WritableStore, tmp_path: Path) -> Iterator[Fleet]:
    """Three hosts that serve version 1, which answers 7; there is a version 2, which answers 3."""
    for digit in (7, 3):
        publish_digit(store, "digits", digit)
    store.promote(ServableId("digits", 1), why="first")
    database = database_server.database()
    with ExitStack() as running:
        engine = open_engine(database_server.url(database))
        running.callback(engine.dispose)
        start = running.enter_context(starting(tmp_path))
        hosts = []
        for number in range(3):
            place = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="host-")))  # sockets want short paths
            line = running.enter_context(cutter(database_server.socket, place))
            seen = place / "store"
            seen.symlink_to(store.root)
            flags = ("--home", str(tmp_path / f"host-{number}"), "--workers", "1")
            server = start(seen, *flags, "--database-url", database_server.url(database, place))
            hosts.append(Host(server, seen, line, place / database_server.socket.name))
        for host in hosts:
            host.server.wait_ready()
        yield Fleet(hosts, store, engine)
        for host in hosts:
            assert host.server.stop() == 0, host.server.log.read_text()
