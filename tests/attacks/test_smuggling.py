"""A proxy and the server behind it never count one sender's bytes as different requests."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from tests.cli.clients import TIMEOUT_S, wait_until
from tests.transport.live import Running
from tests.transport.test_connection import BAD, LIVE

from .proxies import Proxy, haproxy, nginx
from .relay import Relay

HIDDEN = b"GET /v1/models/hidden HTTP/1.1\r\nHost: x\r\n\r\n"
# What one party may take for a body, and the other for the next request.
START = b"POST /predict HTTP/1.1\r\nHost: x\r\n"
BEHIND_CHUNKS = START + b"Content-Length: %d\r\nTransfer-Encoding: %b\r\n\r\n0\r\n\r\n"
BEHIND_LENGTH = START + b"Transfer-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
CODINGS = [
    b"chunked",
    b"xchunked",
    b" chunked",
    b"\tchunked",
    b"chunked\x0b",
    b"Chunked",
    b"identity",
    b"chunked,",
    b'"chunked"',
]


def requests() -> dict[str, bytes]:
    """Every malformed request with another glued to it, and every disagreement about where a body ends."""
    found = {name: request + HIDDEN for name, request in BAD.items()}
    for coding in CODINGS:
        head = BEHIND_CHUNKS % (len(HIDDEN) + 5, coding)
        found[f"hidden behind chunks of {coding!r}"] = head + HIDDEN
        head = BEHIND_LENGTH % (coding, 4)
        found[f"hidden behind a length and {coding!r}"] = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
    return found


REQUESTS = requests()


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    """Before a server of this process."""
    running = Running()
    with Relay(running.port) as relay:
        yield relay
    running.stop()


@pytest.fixture(scope="module", params=[nginx, haproxy])
def proxy(request: pytest.FixtureRequest, relay: Relay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Before that."""
    start: Callable[[Path, int], AbstractContextManager[Proxy]] = request.param
    with start(tmp_path_factory.mktemp(start.__name__), relay.port) as proxy:
        yield proxy


def converse(port: int, sent: bytes) -> bytes:
    """What comes back until the other side closes."""
    received = b""
    with closing(socket.create_connection(("127.0.0.1", port), TIMEOUT_S)) as connection:
        connection.sendall(sent)
        try:
            while piece := connection.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
    return received


def test_requests_in_a_row_are_counted_by_both(proxy: Proxy, relay: Relay) -> None:
    """As a control: three of them are three for the proxy, and three for the server."""
    passed_on, answers = proxy.passed_on(), relay.answers()
    for _ in range(3):
        assert b'{"status":"alive"}' in converse(proxy.port, LIVE)
    wait_until(lambda: proxy.passed_on() == passed_on + 3)
    assert relay.answers() == answers + 3


@pytest.mark.parametrize("name", REQUESTS)
def test_nothing_is_smuggled_past_a_proxy(proxy: Proxy, relay: Relay, name: str) -> None:
    """The server takes for a request what the proxy took for one, and nothing that was hidden in another."""
    passed_on, answers = proxy.passed_on(), relay.answers()
    converse(proxy.port, REQUESTS[name])
    assert b'{"status":"alive"}' in converse(proxy.port, LIVE)  # on the same connection to the server, if there is one
    wait_until(lambda: relay.answers() - answers == proxy.passed_on() - passed_on)
