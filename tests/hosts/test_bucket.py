"""Three servers on a store in a bucket: they follow it, go on without it, and begin again without it."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.clients import quickest, wait_until
from tests.cli.conftest import Server, StartServer, starting

from fairlead.app.releases import open_writable_store
from fairlead.cli.main import main
from fairlead.config import Settings
from fairlead.testing import publish_digit

from .bucket import S3, s3

PICTURE = json.dumps({"instances": [[[[0.0]] * 28] * 28]}).encode()
WINDOW_S = 3.0


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An S3 that whoever is started from here on has in the environment."""
    with s3(tmp_path) as server:
        for name, value in server.environ().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers."""
    with starting(tmp_path) as start:
        yield start


def version(server: Server) -> int:
    """Which version answers."""
    status, body = server.call("POST", "/predict", PICTURE)
    assert status == 200, body
    return int(body["version"])


def age_s(server: Server) -> float:
    """How long ago the server's copy was last like the bucket, by its metrics."""
    page = server.page("/metrics", server.management_port)[1]
    found = re.search(r"^fairlead_store_age_seconds (\S+)$", page, re.MULTILINE)
    assert found, page
    return float(found[1])


def test_three_servers_on_one_bucket(bucket: S3, start: StartServer, tmp_path: Path) -> None:
    """A promotion serves everywhere within three seconds; a bucket that hangs stops nobody, not even a new start."""
    url = f"s3://{bucket.new_bucket()}/models"
    store = open_writable_store(Settings(home=tmp_path / "writer", store=url))
    for digit in (7, 3):
        publish_digit(store, "digits", digit)
    command = ["--home", str(tmp_path / "person"), "--store", url]
    assert main(["promote", "digits", "1", "--why", "first", *command]) == 0

    def begin(number: int) -> Server:
        flags = ("--home", str(tmp_path / f"host-{number}"), "--workers", "1", "--prediction-log", "off")
        server = start(url, *flags)
        server.wait_ready()
        return server

    servers = [begin(number) for number in range(3)]
    assert [version(server) for server in servers] == [1, 1, 1]
    served = [1]

    def promoted_s() -> float:
        served.append(3 - served[-1])
        assert main(["promote", "digits", str(served[-1]), "--why", "better", *command]) == 0
        return wait_until(lambda: [version(server) for server in servers] == [served[-1]] * 3)

    assert quickest(promoted_s, WINDOW_S) < WINDOW_S

    os.kill(bucket.process.pid, signal.SIGSTOP)
    wait_until(lambda: age_s(servers[0]) > 2)

    def windows_taken() -> float:
        began = time.monotonic()
        assert servers[0].stop() == 0
        stopped = time.monotonic()
        servers[0] = begin(0)
        return max(stopped - began, (time.monotonic() - stopped) / 2) / WINDOW_S

    assert quickest(windows_taken, 1.0) < 1.0  # one to end in, two to begin in
    assert [version(server) for server in servers] == [served[-1]] * 3
    assert "what s3://" in servers[0].log.read_text()
    wait_until(lambda: "the store is not followed" in servers[1].log.read_text())

    os.kill(bucket.process.pid, signal.SIGCONT)
    assert main(["rollback", "digits", "--why", "worse", *command]) == 0
    wait_until(lambda: [version(server) for server in servers] == [3 - served[-1]] * 3)
    assert [server.stop() for server in servers] == [0, 0, 0]
    for server in servers:
        assert "not-a-secret" not in server.log.read_text()
