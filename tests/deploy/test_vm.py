"""`deploy/systemd` and `deploy/nginx`: what systemd and nginx say of them, and servers behind a real nginx."""

from __future__ import annotations

import asyncio
import configparser
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.cli.clients import REQUEST, Clients
from tests.cli.conftest import Server, StartServer, starting
from tests.cli.prometheus import program
from tests.transport.grpc.channel import INFERENCE, Channel
from tests.transport.grpc.protos import infer_request

from fairlead.config import Settings
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .certificate import write_certificate
from .nginx import FILE, Nginx, complaints
from .product import longest_leave_s, settings_of
from .rule_files import DEPLOY

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROGRAM = "/opt/fairlead/bin/fairlead"


def unit(path: Path) -> configparser.SectionProxy:
    """What the unit says of its service."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # keys as they are
    parser.read_string(path.read_text())
    return parser["Service"]


def settings(path: Path) -> Settings:
    """What the unit's process goes by."""
    name, *command = shlex.split(unit(path)["ExecStart"])
    assert name == PROGRAM
    return settings_of(command, dict(pair.split("=") for pair in shlex.split(unit(path)["Environment"])))


def said_by_systemd(directory: Path, verb: Sequence[str], path: Path, text: str) -> tuple[int, str]:
    """Exit status and output of `systemd-analyze` on a unit of that text, on a machine that has the program."""
    stand_in = directory / "fairlead"
    stand_in.touch(0o755)
    (directory / path.name).write_text(text.replace(PROGRAM, str(stand_in)))
    command = [program("systemd-analyze"), *verb, str(directory / path.name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_takes_the_unit(path: Path, tmp_path: Path) -> None:
    """Without a word; one that is misspelt is told."""
    verify, text = ("verify", "--man=no", "--recursive-errors=no"), path.read_text()
    assert said_by_systemd(tmp_path, verify, path, text) == (0, "")
    assert (
        "'TimeoutStopSecs' in section [Service], ignoring"
        in said_by_systemd(tmp_path, verify, path, text.replace("TimeoutStopSec=", "TimeoutStopSecs="))[1]
    )


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_has_no_rights_that_it_does_not_need(path: Path, tmp_path: Path) -> None:
    """By systemd's own measure of exposure, of which 10 is all: at most 2."""
    status, said = said_by_systemd(
        tmp_path, ("security", "--offline=yes", "--threshold=20", "--no-pager"), path, path.read_text()
    )
    assert status == 0, said


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_what_there_is_and_lets_it_drain(path: Path) -> None:
    """In the directory that systemd makes for it, with time for all that is open; secrets come from a file."""
    found = unit(path)
    assert str(settings(path).home) == f"/var/lib/{found['StateDirectory']}"
    assert (found["KillMode"], found["Restart"]) == ("mixed", "always")
    assert float(found["TimeoutStopSec"]) > longest_leave_s(settings(path))
    assert found["EnvironmentFile"] == "-/etc/fairlead/fairlead.env"


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    """With a certificate, and without a word; what it does not know is told."""
    write_certificate(tmp_path)
    text = FILE.read_text()
    for name, here in (("fullchain", "certificate"), ("privkey", "key")):
        text = text.replace(f"/etc/fairlead/tls/{name}.pem", str(tmp_path / f"{here}.pem"))
    assert complaints(tmp_path, text) == ""
    assert 'unknown directive "proxy_passes"' in complaints(tmp_path, text.replace("proxy_pass ", "proxy_passes "))
    assert f"client_max_body_size {Settings.read({}).max_body_bytes // 2**20}m;" in text


@contextmanager
def two(root: Path) -> Iterator[tuple[StartServer, list[Server], WritableStore]]:
    """Two servers on one store, ready, and what starts another one."""
    store = WritableStore(root / "store", now=lambda: datetime.now(UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="first")
    with starting(root) as start:
        servers = [start(store.root, "--workers", "1", "--prediction-log", "off") for _ in range(2)]
        for server in servers:
            server.wait_ready()
        yield start, servers, store


def test_an_update_behind_nginx_fails_no_request(tmp_path: Path) -> None:
    """Each of two servers is taken out, leaves, and is followed by another at its ports, under load."""
    with ExitStack() as running:
        start, servers, store = running.enter_context(two(tmp_path))
        nginx = running.enter_context(Nginx(tmp_path, servers))
        clients = running.enter_context(Clients(nginx.port))
        for old in servers:
            nginx.go_on_with(servers, without=old)
            assert old.stop() == 0
            clients.wait_for(100)
            ports = ("--rest-port", str(old.port), "--grpc-port", str(old.grpc_port))
            start(store.root, "--workers", "1", "--prediction-log", "off", *ports).wait_ready()
            nginx.go_on_with(servers)
            clients.wait_for(100)
    assert clients.failed == []


def test_a_server_that_leaves_unannounced_fails_no_request(tmp_path: Path) -> None:
    """It answers what it has, and from then on the other one is asked."""
    with ExitStack() as running:
        _, servers, _ = running.enter_context(two(tmp_path))
        clients = running.enter_context(Clients(running.enter_context(Nginx(tmp_path, servers)).port))
        assert servers[0].stop() == 0
        clients.wait_for(500)
    assert clients.failed == []


def test_a_host_that_is_killed_takes_what_it_held_and_no_more(tmp_path: Path) -> None:
    """The other one answers from then on: at most one request for each client fails."""
    with ExitStack() as running:
        _, servers, _ = running.enter_context(two(tmp_path))
        clients = running.enter_context(Clients(running.enter_context(Nginx(tmp_path, servers)).port, count=8))
        servers[0].process.send_signal(signal.SIGKILL)
        servers[0].process.wait(10)
        clients.wait_for(500)
    assert sum(count for outcome, count in clients.outcomes.items() if outcome != "200") <= 8


@dataclass
class _Silent:
    """Takes requests, counts them, and closes without an answer."""

    port: int = 0
    grpc_port: int = 1
    asked: int = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        writer.close()


async def test_what_was_sent_to_a_server_is_not_sent_to_another(tmp_path: Path) -> None:
    """It may have been done: the client is told, and decides."""
    servers = [_Silent(), _Silent()]
    async with AsyncExitStack() as running:
        for one in servers:
            listening = await running.enter_async_context(await asyncio.start_server(one.take, "127.0.0.1", 0))
            one.port = listening.sockets[0].getsockname()[1]
        nginx = running.enter_context(Nginx(tmp_path, servers))
        with socket.create_connection(("127.0.0.1", nginx.port)) as client:
            client.sendall(REQUEST)
            answer = await asyncio.to_thread(client.recv, 4096)
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert sum(one.asked for one in servers) == 1


def test_nginx_carries_grpc_and_keeps_metrics_to_itself(tmp_path: Path, served: Server) -> None:
    """A request in binary, and one for the pages that are not for the world."""
    with Nginx(tmp_path, [served]) as nginx:
        with Channel(f"127.0.0.1:{nginx.grpc_port}") as channel:
            picture = np.zeros((1, 28, 28, 1), np.float32)
            answer = channel.ask(INFERENCE, "ModelInfer", infer_request("digits", image=picture))
        assert answer.model_version == "1"
        assert served.page("/metrics", nginx.port)[0] == 404
        assert served.page("/monitoring/prometheus/metrics", nginx.port)[0] == 404
        assert served.page("/health/ready", nginx.port)[0] == 200
