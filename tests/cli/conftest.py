"""Real servers, started as a user starts them, and ended by their process id."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import wait_until

Answer = tuple[int, Any]


@dataclass
class Server:
    """A running `fairlead` process and its ports."""

    process: subprocess.Popen[bytes]
    port: int
    grpc_port: int
    log: Path
    management_port: int = 0

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Status and decoded JSON of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def page(self, path: str, port: int = 0) -> tuple[int, str]:
        """Status and text of a page, of the REST port unless another is named."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def managed(self, path: str) -> Answer:
        """Status and decoded JSON of a page of the management port."""
        status, text = self.page(path, self.management_port)
        return status, json.loads(text)

    def wait_ready(self, timeout_s: float = 30.0) -> Any:
        """The body of `/health/ready` once it says 200."""
        deadline = time.monotonic() + timeout_s
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            try:
                status, body = self.call("GET", "/health/ready")
            except (OSError, http.client.HTTPException):
                status = 0
            if status == 200:
                return body
            time.sleep(0.02)

    def stop(self) -> int:
        """Ask the process to leave and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


StartServer = Callable[..., Server]


@pytest.fixture(scope="module")
def without_log() -> Iterator[None]:
    """Servers keep no predictions, for modules that ask for none: it is a process less for each of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAIRLEAD_PREDICTION_LOG", "off")
        yield


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts `fairlead serve` on a free port over a store; whatever still runs at the end is ended."""
    with starting(tmp_path) as start:
        yield start


@contextmanager
def starting(tmp_path: Path) -> Iterator[StartServer]:
    """What `start_server` gives, for as long as a caller likes; logs go to `tmp_path`."""
    started: list[Server] = []

    def start(
        store: Path,
        *flags: str,
        program: tuple[str, ...] = ("-m", "fairlead.cli.main"),
        executable: str = sys.executable,
    ) -> Server:
        log = tmp_path / f"server-{len(started)}.log"
        if "--home" not in flags:
            flags = ("--home", str(tmp_path / f"home-{len(started)}"), *flags)
        command = [executable, *program, "serve", "--store", str(store)]
        command += ["--rest-port", "0", "--grpc-port", "0", "--management-port", "0", *flags]
        with log.open("wb") as writer:
            process = subprocess.Popen(command, stderr=writer, stdout=writer, env={**os.environ, "FAIRLEAD_ENV": ""})
        port, grpc_port, management_port = ports_of(process, log)
        server = Server(process=process, port=port, grpc_port=grpc_port, log=log, management_port=management_port)
        started.append(server)
        return server

    try:
        yield start
    finally:
        for server in started:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait(10)


def ports_of(process: subprocess.Popen[bytes], log: Path) -> tuple[int, int, int]:
    """The ports that the process says it listens on: of REST, of gRPC, and of management."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            if found := re.match(r"listening on https?://.*:(\d+) \(gRPC on .*:(\d+)\) .* on https?://.*:(\d+)$", line):
                return int(found[1]), int(found[2]), int(found[3])
        assert process.poll() is None, log.read_text()
        time.sleep(0.01)
    raise AssertionError(log.read_text())


StartWorkers = Callable[..., Server]


@pytest.fixture
def start_workers(store: WritableStore, start_server: StartServer) -> StartWorkers:
    """Starts `fairlead serve` with so many workers, which are all ready."""

    def start(count: int, *flags: str) -> Server:
        store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
        server = start_server(store.root, "--workers", str(count), *flags)
        server.wait_ready()
        wait_until(lambda: bool(server.managed("/health/ready")[1]["ready"] == count))
        return server

    return start


def workers(server: Server) -> list[int]:
    """The process ids of the workers, oldest first."""
    return running(server, "fairlead.app.worker")


def recorder(server: Server) -> int:
    """The process id of the recorder; one that was just killed is followed by another in a moment."""
    return kept(server, "fairlead.app.recorder")


def kept(server: Server, module: str) -> int:
    """The process id of the child that runs this program and is kept running."""
    wait_until(lambda: len(running(server, module)) == 1)
    return running(server, module)[0]


def running(server: Server, module: str) -> list[int]:
    """The process ids of the server's children that run this program, oldest first."""
    found = []
    for child in sorted(psutil.Process(server.process.pid).children(), key=psutil.Process.create_time):
        with suppress(psutil.NoSuchProcess):  # or a zombie, which has no command any more
            if module in child.cmdline():
                found.append(int(child.pid))
    return found


def loaded(server: Server) -> int:
    """How many workers have ever loaded the model."""
    return server.log.read_text().count("digits@1 is loaded and proven")


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
