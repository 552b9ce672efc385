"""One real server for all hostile artifacts: each gets a model of its own, whose first version is good."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.clients import wait_until
from tests.cli.conftest import Server, starting, workers

from fairlead.store.writable_store import WritableStore

from .kinds import SECRET

ROW = [[[0.0]] * 28] * 28


@dataclass(frozen=True)
class Target:
    """What is attacked: a server, its store, and a folder beside the store where nothing may appear."""

    server: Server
    store: WritableStore
    outside: Path

    def digit(self, model: str) -> int:
        """What the model answers to a picture; the digit model answers always the same."""
        body = json.dumps({"instances": [ROW]}).encode()
        status, answer = self.server.call("POST", f"/v1/models/{model}:predict", body)
        assert status == 200, answer
        scores = answer["predictions"][0]
        return int(scores.index(max(scores)))

    def peak_bytes(self) -> int:
        """The most memory that the worker has ever had."""
        (worker,) = workers(self.server)
        lines = Path(f"/proc/{worker}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def wait_up(self, model: str, version: int) -> None:
        """Until that version answers."""
        wait_until(lambda: self._status(model, version).get("state") == "AVAILABLE")

    def refusal(self, model: str, version: int) -> str:
        """Why that version is not served, once that is known."""
        wait_until(lambda: bool(self._message(model, version)))
        assert self._message(model, version) in self.server.log.read_text()
        return self._message(model, version)

    def _message(self, model: str, version: int) -> str:
        return str(self._status(model, version).get("status", {}).get("error_message", ""))

    def _status(self, model: str, version: int) -> dict[str, Any]:
        statuses = self.server.call("GET", f"/v1/models/{model}")[1].get("model_version_status", [])
        return next((status for status in statuses if status["version"] == str(version)), {})


FLAGS = ("--workers", "1", "--poll-interval-s", "0.05", "--quiet-period-s", "0.1", "--prediction-log", "off")


@contextmanager
def attacked(home: Path, *flags: str) -> Iterator[Target]:
    """A server that finds models as they appear, with flags of its own."""
    store = WritableStore(home / "store", now=lambda: datetime.now(UTC), who="attacker")
    store.root.mkdir()
    outside = home / "outside"
    outside.mkdir()
    (outside / SECRET).write_bytes(bytes(40))
    with starting(home) as start:
        server = start(store.root, *FLAGS, *flags)
        assert server.call("GET", "/v1/models/none")[0] == 404  # it has taken the empty store for one
        yield Target(server=server, store=store, outside=outside)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A server with nothing but the defaults."""
    with attacked(tmp_path_factory.mktemp("hostile")) as target:
        yield target
