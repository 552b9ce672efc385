"""The server over real sockets: limits, slow clients, and leaving without failing a request."""

import socket
from collections.abc import Callable
from contextlib import closing

import pytest
from tests.transport.fakes import LIMIT
from tests.transport.live import BODY, PATH, TIMEOUT_S, Running, ask, is_open

from fairlead.transport.listener import open_socket


def test_a_request_in_flight_is_answered(start: Callable[..., Running]) -> None:
    """A request that is being computed when the drain begins is answered, and told to close."""
    running = start()
    gate = running.holds_answers()
    with closing(running.connect()) as connection:
        connection.request("POST", PATH, BODY)
        with closing(running.connect()) as other:  # answered after the first was read: one loop, in order
            other.request("GET", "/health/live")
            other.getresponse().read()
        running.drain()
        running.loop.call_soon_threadsafe(gate.set)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert answer.read() == b'{"predictions":[[1.0,2.0]]}'
    running.thread.join(TIMEOUT_S)
    assert not running.thread.is_alive()


def test_an_open_connection_gets_one_more_answer(start: Callable[..., Running]) -> None:
    """A kept-alive connection that was idle when the drain began is answered once more and then closed."""
    running = start(quiet_s=TIMEOUT_S)
    with closing(running.connect()) as connection:
        assert ask(connection).headers["connection"] is None
        running.drain()
        answer = ask(connection)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
    running.thread.join(TIMEOUT_S)


def test_a_silent_connection_does_not_hold_the_drain(start: Callable[..., Running]) -> None:
    """A kept-alive connection that stays silent is closed after the grace, and the server leaves."""
    running = start(quiet_s=0.2)
    with closing(running.connect()) as connection:
        ask(connection)
        running.drain()
        running.thread.join(TIMEOUT_S)
        assert not running.thread.is_alive()
        assert connection.sock.recv(1) == b""


def test_a_drain_has_an_end(start: Callable[..., Running]) -> None:
    """The server leaves after the drain's timeout although a request is unanswered."""
    running = start(drain_timeout_s=0.2)
    running.holds_answers()
    with closing(running.connect()) as connection:
        connection.request("POST", PATH, BODY)
        running.drain()
        running.thread.join(TIMEOUT_S)
        assert not running.thread.is_alive()


def test_a_second_drain_ends_it_at_once(start: Callable[..., Running]) -> None:
    """Asked a second time, the server leaves although a request is unanswered."""
    running = start()
    running.holds_answers()
    with closing(running.connect()) as connection:
        connection.request("POST", PATH, BODY)
        running.drain()
        running.drain()
        running.thread.join(TIMEOUT_S)
        assert not running.thread.is_alive()


def test_the_port_is_closed_in_a_drain(start: Callable[..., Running]) -> None:
    """Once a connection has been told to close, new ones are refused."""
    running = start()
    gate = running.holds_answers()
    with closing(running.connect()) as held:
        held.request("POST", PATH, BODY)
        running.drain()
        while is_open(running.port):
            pass
        running.loop.call_soon_threadsafe(gate.set)
        assert held.getresponse().status == 200


def test_a_refused_upload_can_read_its_answer(start: Callable[..., Running]) -> None:
    """A client that writes all of a body that is too large before it reads still gets its 413."""
    running = start()
    for chunked in (False, True):
        with closing(running.connect()) as connection:
            body = [b"x" * 65536] * (20 * LIMIT // 65536)
            if chunked:
                connection.request("POST", PATH, iter(body), encode_chunked=True)
            else:
                connection.request("POST", PATH, b"".join(body))
            answer = connection.getresponse()
            assert (answer.status, answer.headers["connection"]) == (413, "close")
            assert str(LIMIT).encode() in answer.read()


def test_clients_that_leave_do_no_harm(start: Callable[..., Running], caplog: pytest.LogCaptureFixture) -> None:
    """Clients that leave in a head, in a body or while their answer is computed leave no trace in the log."""
    running = start()
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
    for sent in (b"", head[:20], head, head + BODY[:5], head + BODY):
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as client:
                client.sendall(sent)
    with closing(running.connect()) as connection:
        assert ask(connection).status == 200
    assert not caplog.records


def test_a_request_in_pieces(start: Callable[..., Running]) -> None:
    """A request that comes byte by byte is answered like any other."""
    running = start()
    request = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY
    with socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            client.sendall(bytes([byte]))
        assert client.recv(12) == b"HTTP/1.1 200"


def test_a_shared_port_stays_open(start: Callable[..., Running]) -> None:
    """A server that leaves a port that others share goes without a word to those who connect meanwhile."""
    with open_socket("127.0.0.1", 0) as shared:
        first = start(shared=shared)
        with closing(first.connect()) as held:
            assert ask(held).status == 200  # so it is the first one's
            gate = first.holds_answers()
            held.request("POST", PATH, BODY)
            first.drain()
            first.loop.call_soon_threadsafe(gate.set)
            assert held.getresponse().headers["connection"] == "close"
        first.thread.join(TIMEOUT_S)
        assert not first.thread.is_alive()
        with closing(first.connect()) as waiting:  # nobody accepts, and nobody refuses
            waiting.request("POST", PATH, BODY)
            second = start(shared=shared)
            assert waiting.getresponse().status == 200
        assert second.port == first.port
