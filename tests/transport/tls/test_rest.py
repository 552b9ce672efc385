"""REST over TLS: real clients, right and wrong certificates, and clients that do not come to terms."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import requests
import tritonclient.http
from tests.certificates import Authority, Pair
from tests.cli.clients import wait_until
from tests.transport.live import BODY, PATH, TIMEOUT_S, Running, ask, read_all

from fairlead.transport.limits import Limits

from .conftest import Counted, client_context

MODELS = "/v1/models/echo"


@contextmanager
def serving(
    pair: Pair,
    authority: Authority,
    *,
    limits: Limits | None = None,
    client_ca: Path | None = None,
    own: Pair | None = None,
) -> Iterator[tuple[Running, Counted]]:
    """A server with that certificate."""
    tls = Counted(pair, "http/1.1", client_ca)
    running = Running(limits, tls=tls, context=client_context(authority, own))
    try:
        yield running, tls
    finally:
        running.stop()


def dial(running: Running, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection that has come to terms."""
    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as plain:
        return context.wrap_socket(plain, server_hostname="localhost")


def test_every_client_gets_its_answer(pair: Pair, authority: Authority) -> None:
    """urllib, requests, curl and Triton's, over 1.2 and 1.3; the protocol inside is told by ALPN."""
    with serving(pair, authority) as (running, tls):
        url = f"https://localhost:{running.port}"
        context = client_context(authority)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with dial(running, context) as client:
            assert (client.version(), client.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with urllib.request.urlopen(url + MODELS, context=context, timeout=TIMEOUT_S) as answer:
            assert answer.status == 200
        assert requests.get(url + MODELS, verify=str(authority.path), timeout=TIMEOUT_S).status_code == 200
        command = ["curl", "--silent", "--show-error", "--fail", "--cacert", str(authority.path), "--data-binary", "@-"]
        said = subprocess.run([*command, url + PATH], input=BODY, capture_output=True, check=True, timeout=TIMEOUT_S)
        assert b"predictions" in said.stdout
        with closing(
            tritonclient.http.InferenceServerClient(
                f"localhost:{running.port}", ssl=True, ssl_context_factory=lambda: client_context(authority)
            )
        ) as triton:
            assert triton.is_server_live()
        assert tls.failures == 0


def test_large_bodies_go_through_in_both_directions(pair: Pair, authority: Authority) -> None:
    """From many clients at once, on connections that are kept; each gets its own rows back."""

    def echo(number: int) -> bool:
        rows = np.full((500, 2), number, dtype=float).tolist()
        with closing(running.connect()) as connection:
            for _ in range(5):
                connection.request("POST", PATH, str({"instances": rows}).replace("'", '"').encode())
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200 or body.count(f"{number}.0".encode()) != 1000:
                    return False
        return True

    with serving(pair, authority) as (running, _), ThreadPoolExecutor(8) as pool:
        assert list(pool.map(echo, range(1, 17))) == [True] * 16


def test_a_refusal_reaches_a_client_that_still_sends(pair: Pair, authority: Authority) -> None:
    """The connection ends after it, as without TLS."""
    with serving(pair, authority) as (running, _), closing(running.connect()) as connection:
        connection.putrequest("POST", PATH)
        connection.putheader("Content-Length", str(10**9))
        connection.endheaders()
        with suppress(OSError):
            for _ in range(500):
                connection.send(b"x" * 10_000)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (413, "close")
        assert b"The body is larger than" in answer.read()
        wait_until(lambda: not running.server.connections)


def test_plain_http_gets_a_clean_close(pair: Pair, authority: Authority) -> None:
    """No answer, and no reset; it is counted, and others are answered as before."""
    with serving(pair, authority) as (running, tls):
        with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as client:
            client.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"HTTP" not in read_all(client)
        wait_until(lambda: tls.failures == 1)
        with closing(running.connect()) as connection:
            assert ask(connection).status == 200


def test_a_handshake_that_stalls_is_cut_at_the_deadline(pair: Pair, authority: Authority) -> None:
    """Silent, or in the middle; no trickle of bytes moves the deadline."""
    with serving(pair, authority, limits=Limits(header_timeout_s=0.6)) as (running, tls):
        started = time.monotonic()
        clients = [socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) for _ in range(30)]
        for client in clients[10:]:
            client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
        trickling = threading.Thread(target=trickle, args=(clients[20:],))
        trickling.start()
        assert [drained(client) for client in clients] == [True] * 30
        assert 0.5 < time.monotonic() - started < 10  # the least that the usual limits allow
        trickling.join()
        wait_until(lambda: tls.failures == 30)


def test_nobody_waits_for_the_handshake_of_another(pair: Pair, authority: Authority) -> None:
    """However many stall, a client that comes is answered."""
    with serving(pair, authority, limits=Limits(header_timeout_s=10 * TIMEOUT_S)) as (running, _):
        clients = [socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) for _ in range(30)]
        with closing(running.connect()) as connection:
            assert ask(connection).status == 200
        for client in clients:
            client.close()


def trickle(clients: list[socket.socket]) -> None:
    """A byte of a handshake now and then, for longer than any deadline, until the server has enough."""
    with suppress(OSError):
        for _ in range(60):
            for client in clients:
                client.sendall(b"\x00")
            time.sleep(0.05)


def drained(client: socket.socket) -> bool:
    """Whether the server ended the connection."""
    with client, suppress(ConnectionResetError):
        return read_all(client) == b""
    return True


def test_handshakes_that_are_due_are_bounded(pair: Pair, authority: Authority) -> None:
    """Those over the limit of connections are closed at once."""
    limits = Limits(connections=4, header_timeout_s=TIMEOUT_S)
    with serving(pair, authority, limits=limits) as (running, _):
        waiting = [socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) for _ in range(4)]
        with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as more:
            assert drained(more)
        for client in waiting:
            client.close()


def test_clients_have_to_show_a_certificate_of_the_authority(pair: Pair, authority: Authority, tmp_path: Path) -> None:
    """None, another authority's, one whose time is over, and a server's: none of them gets a byte of an answer."""
    (tmp_path / "others").mkdir()
    stranger = Authority(tmp_path / "others").issue("stranger", is_client=True)
    over = authority.issue("over", begins_days=-9, ends_days=-1, is_client=True)
    good = authority.issue("client", is_client=True)
    with serving(pair, authority, client_ca=authority.path, own=good) as (running, tls):
        with closing(running.connect()) as connection:
            assert ask(connection).status == 200
        for count, wrong in enumerate((None, stranger, over, authority.issue("another")), start=1):
            context = client_context(authority, wrong)
            connection = http.client.HTTPSConnection("localhost", running.port, timeout=TIMEOUT_S, context=context)
            with closing(connection), pytest.raises((ssl.SSLError, http.client.HTTPException, ConnectionError)):
                ask(connection)
            wait_until(lambda: tls.failures == count)  # noqa: B023 - it is waited for here


def test_old_versions_of_tls_are_not_spoken(pair: Pair, authority: Authority) -> None:
    """1.1 comes to no terms."""
    with serving(pair, authority) as (running, _):
        context = client_context(authority)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            dial(running, context)


def test_new_connections_are_shown_the_new_certificate(pair: Pair, authority: Authority) -> None:
    """Without a restart; one that is open goes on, and a certificate that is broken changes nothing."""
    with serving(pair, authority) as (running, _), closing(running.connect()) as kept:
        assert ask(kept).status == 200
        first = serial(running, authority)
        pair.replace(authority.issue("renewed"))
        wait_until(lambda: serial(running, authority) != first)
        second = serial(running, authority)
        assert ask(kept).status == 200
        pair.certificate.write_text("nonsense")
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            assert serial(running, authority) == second
        assert ask(kept).status == 200


def serial(running: Running, authority: Authority) -> str:
    """The number of the certificate that a new connection is shown."""
    with dial(running, client_context(authority)) as client:
        return str((client.getpeercert() or {})["serialNumber"])


def test_a_drain_answers_what_is_open_and_waits_for_no_handshake(pair: Pair, authority: Authority) -> None:
    """A client that never comes to terms does not hold the server up."""
    limits = Limits(header_timeout_s=10 * TIMEOUT_S)
    with serving(pair, authority, limits=limits) as (running, _), closing(running.connect()) as connection:
        stalled = socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S)
        held = running.holds_answers()
        connection.request("POST", PATH, BODY)
        wait_until(lambda: running.predictor.waiting == 1)
        running.drain()
        running.loop.call_soon_threadsafe(held.set)
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        answer.read()
        running.thread.join(TIMEOUT_S)
        assert not running.thread.is_alive()
        stalled.close()
