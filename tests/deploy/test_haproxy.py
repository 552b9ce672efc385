"""`deploy/haproxy`, before three servers of which one is stopped, frozen or slow."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.cli.clients import Clients, wait_until
from tests.cli.conftest import Server, starting
from tests.transport.grpc.channel import INFERENCE, Channel
from tests.transport.grpc.protos import infer_request

from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .certificate import write_certificate
from .haproxy import FILE, Haproxy, complaints

CLIENTS = 8
SLOW_S = 0.1


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Server]]:
    """Three servers on one store, ready."""
    store = WritableStore(tmp_path / "store", now=lambda: datetime.now(UTC), who="tester")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="first")
    with starting(tmp_path) as start:
        servers = [
            start(store.root, "--workers", "1", "--prediction-log", "off", "--drain-delay-s", "3") for _ in range(3)
        ]
        for server in servers:
            server.wait_ready()
        yield servers


def answered(server: Server) -> int:
    """How many predictions the server has counted as answered well."""
    page = server.page("/metrics", server.management_port)[1]
    counts = re.findall(r'^fairlead_requests_total\{[^}]*code="OK"[^}]*\} (\S+)$', page, re.MULTILINE)
    return round(sum(map(float, counts)))


def test_haproxy_takes_its_file(tmp_path: Path) -> None:
    """With a certificate, and without a word; what it does not know is told."""
    write_certificate(tmp_path)
    pem = tmp_path / "haproxy.pem"
    pem.write_bytes((tmp_path / "certificate.pem").read_bytes() + (tmp_path / "key.pem").read_bytes())
    text = FILE.read_text().replace("/etc/fairlead/tls/haproxy.pem", str(pem))
    (tmp_path / "good.cfg").write_text(text)
    (tmp_path / "bad.cfg").write_text(text.replace("timeout connect", "timeouts connect"))
    assert complaints(tmp_path / "good.cfg") == ""
    assert "timeouts" in complaints(tmp_path / "bad.cfg")


def test_a_host_that_leaves_fails_no_request_and_all_are_counted(hosts: list[Server], tmp_path: Path) -> None:
    """The other two answer; what the hosts counted adds up to what the clients were told."""
    with ExitStack() as running:
        proxy = running.enter_context(Haproxy(tmp_path, hosts))
        with Channel(f"127.0.0.1:{proxy.grpc_port}") as channel:
            picture = np.zeros((1, 28, 28, 1), np.float32)
            assert channel.ask(INFERENCE, "ModelInfer", infer_request("digits", image=picture)).model_version == "1"
        assert hosts[0].page("/metrics", proxy.port)[0] == 404
        with Clients(proxy.port, CLIENTS) as clients:
            clients.wait_for(200)
        assert clients.failed == []
        wait_until(lambda: sum(map(answered, hosts)) == clients.outcomes["200"] + 1)

        with Clients(proxy.port, CLIENTS) as clients:
            assert hosts[0].stop() == 0
            clients.wait_for(100)
        assert clients.failed == []


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """None of the server's processes does anything, and its connections stay."""
    parent = psutil.Process(server.process.pid)
    family = [parent, *parent.children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in reversed(family):
            process.send_signal(signal.SIGCONT)


def test_a_host_that_hangs_fails_what_it_holds_and_no_more(hosts: list[Server], tmp_path: Path) -> None:
    """It is out within seconds: at most a request for each client fails; once it goes on it is asked again."""
    with ExitStack() as running:
        clients = running.enter_context(Clients(running.enter_context(Haproxy(tmp_path, hosts)).port, CLIENTS))
        with frozen(hosts[0]):
            began = time.monotonic()
            wait_until(lambda: sum(clients.outcomes.values()) - clients.outcomes["200"] > 0)
            held_s = time.monotonic() - began
            clients.wait_for(200)
            failed = sum(count for outcome, count in clients.outcomes.items() if outcome != "200")
        before = answered(hosts[0])
        wait_until(lambda: answered(hosts[0]) > before)
    assert held_s < 20  # as long as it may answer at all would be 60
    assert 1 <= failed <= CLIENTS
    assert failed == sum(count for outcome, count in clients.outcomes.items() if outcome != "200")


@dataclass
class _SlowWay:
    """A way to a server on which every answer takes a tenth of a second more; a context."""

    server: Server

    def __post_init__(self) -> None:
        self.grpc_port = self.server.grpc_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self.server.port))
            threading.Thread(target=_carry, args=(client, there, 0.0), daemon=True).start()
            threading.Thread(target=_carry, args=(there, client, SLOW_S), daemon=True).start()

    def close(self) -> None:
        self._listener.close()


def _carry(source: socket.socket, target: socket.socket, pause_s: float) -> None:
    """Bytes, until one of the two has enough."""
    try:
        while data := source.recv(65536):
            time.sleep(pause_s)
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        end.close()


def test_a_host_that_is_slow_gets_less(hosts: list[Server], tmp_path: Path) -> None:
    """And nobody fails: the share of the slow one is far below a third."""
    way = _SlowWay(hosts[0])
    with ExitStack() as running:
        running.callback(way.close)
        clients = running.enter_context(
            Clients(running.enter_context(Haproxy(tmp_path, [way, *hosts[1:]])).port, CLIENTS)
        )
        clients.wait_for(1000)
    assert clients.failed == []
    counts = [answered(server) for server in hosts]
    assert sum(counts) == clients.outcomes["200"]
    assert 0 < counts[0] < 0.15 * sum(counts)
