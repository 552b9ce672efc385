"""One server that all clients ask: a process of its own over a published store."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import Server, starting
from tests.clients.models import fill

from fairlead.store.writable_store import WritableStore


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`fairlead serve` over the models of `fill`, all ready. No client may make it log a bug of its own."""
    folder = tmp_path_factory.mktemp("clients")
    with starting(folder) as start:
        server = start(filled_store(folder))
        server.wait_ready()
        yield server
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()


def filled_store(folder: Path) -> Path:
    """A store in `folder` with the models of `fill`."""
    store = WritableStore(folder / "store", now=lambda: datetime.now(UTC), who="tester")
    fill(store)
    return store.root
