"""Proxies that people put before a server, each of which tells how many requests it passed on."""

from __future__ import annotations

import csv
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.cli.clients import TIMEOUT_S, wait_until
from tests.cli.prometheus import program
from tests.deploy.nginx import Nginx

_HAPROXY = """
global
    stats socket {directory}/stats
defaults
    mode http
    timeout connect 5s
    timeout client 200ms
    timeout http-request 200ms
    timeout server 10s
    retries 0
    http-reuse always
frontend all
    option httpclose
    bind 127.0.0.1:{port}
    default_backend servers
backend servers
    server one 127.0.0.1:{target}
"""


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs.

    Attributes:
        port: where it listens.
        passed_on: how many requests it has given to the server so far.
    """

    port: int
    passed_on: Callable[[], int]


@dataclass
class Target:
    """The server behind it."""

    port: int
    grpc_port: int = 9


@contextmanager
def nginx(directory: Path, target: int) -> Iterator[Proxy]:
    """The configuration in `deploy/nginx`."""
    log = directory / "requests.log"
    said = f"log_format passed '$upstream_status';\naccess_log {log} passed;\n"
    said += "client_header_timeout 200ms;\nclient_body_timeout 200ms;"
    with Nginx(directory, [Target(target)], said=said) as running:
        yield Proxy(running.port, lambda: sum(line.strip() != "-" for line in log.read_text().splitlines()))


@contextmanager
def haproxy(directory: Path, target: int) -> Iterator[Proxy]:
    """HAProxy with connections that are used again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    file = directory / "haproxy.cfg"
    file.write_text(_HAPROXY.format(directory=directory, port=port, target=target))
    log = directory / "haproxy.log"
    with log.open("wb") as writer:
        process = psutil.Popen([program("haproxy"), "-db", "-f", str(file)], stdout=writer, stderr=writer)

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def passed_on() -> int:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(TIMEOUT_S)
            asking.connect(str(directory / "stats"))
            asking.sendall(b"show stat\n")
            table = b""
            while piece := asking.recv(65_536):
                table += piece
        rows = csv.DictReader(table.decode().removeprefix("# ").splitlines())
        return next(int(row["stot"]) for row in rows if (row["pxname"], row["svname"]) == ("servers", "BACKEND"))

    try:
        wait_until(is_up)
        yield Proxy(port, passed_on)
    finally:
        process.terminate()
        process.wait(10)
