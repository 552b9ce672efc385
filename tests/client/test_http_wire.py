"""What goes over the wire of REST, and what other servers than ours may do there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import pytest
from tests.clients.callers import KINDS, Caller

from fairlead.errors import Code

PAGE = b'[{"name":"m","version":"1","state":"READY"}]'
INDEX = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(PAGE), PAGE)
GONE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@contextmanager
def serving(*answers: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that does one of these with each connection, in turn."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with closing(connection):
                    connection.settimeout(30)
                    answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(30)


def head_of(connection: socket.socket) -> str:
    """A request's head; what comes behind it stays unread, or is lost."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    return head.partition(b"\r\n\r\n")[0].decode()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Any]:
    """Which of the clients."""
    return KINDS[str(request.param)]


def test_a_request_says_who_asks_where_and_for_how_long(kind: type[Any]) -> None:
    """A proxy may have the server under a path of its own."""
    heads: list[str] = []

    def answer(connection: socket.socket) -> None:
        heads.append(head_of(connection))
        connection.sendall(INDEX)

    with (
        serving(answer) as port,
        Caller(kind, f"http://127.0.0.1:{port}/fairlead/", api_key="abc", timeout_s=30) as caller,
    ):
        assert [version.model for version in caller.call("models")] == ["m"]

    first, *fields = heads[0].split("\r\n")
    headers = dict(field.split(": ", 1) for field in fields)
    assert first == "POST /fairlead/v2/repository/index HTTP/1.1"
    assert (headers["host"], headers["x-api-key"], headers["content-length"]) == (f"127.0.0.1:{port}", "abc", "2")
    assert 1 <= int(headers["x-request-timeout-ms"]) <= 30_000


def answer_once(connection: socket.socket) -> None:
    """Answer well, and end the connection."""
    head_of(connection)
    connection.sendall(INDEX)


def test_a_connection_that_a_proxy_has_given_up_is_no_error(kind: type[Any]) -> None:
    """Some say so before they close it, where the next answer would stand."""
    has_answered = threading.Event()

    def answer_and_leave(connection: socket.socket) -> None:
        answer_once(connection)
        has_answered.wait(30)
        connection.sendall(GONE)

    with (
        serving(answer_and_leave, answer_once) as port,
        Caller(kind, f"http://127.0.0.1:{port}", timeout_s=30) as caller,
    ):
        caller.call("models")
        has_answered.set()
        assert [version.model for version in caller.call("models")] == ["m"]


def test_what_comes_behind_an_answer_is_not_the_next_one(kind: type[Any]) -> None:
    """The connection is not used again."""

    def answer_twice(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(INDEX + INDEX.replace(b'"m"', b'"z"'))

    with (
        serving(answer_twice, answer_once) as port,
        Caller(kind, f"http://127.0.0.1:{port}", timeout_s=30) as caller,
    ):
        for _ in range(2):
            assert [version.model for version in caller.call("models")] == ["m"]


def test_an_early_refusal_is_heard(kind: type[Any]) -> None:
    """A server that has seen enough of a request answers before all of it was sent."""

    def refuse(connection: socket.socket) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    with serving(describe, refuse) as port, Caller(kind, f"http://127.0.0.1:{port}", timeout_s=30) as caller:
        error = caller.refused("predict", "m", np.zeros(4_000_000, np.float32))

    assert error.code is Code.RESOURCE_EXHAUSTED


def describe(connection: socket.socket) -> None:
    """Say what a model takes, and end the connection."""
    head_of(connection)
    tensors = '[{"name":"x","datatype":"FP32","shape":[-1]}]'
    page = f'{{"name":"m","versions":["1"],"platform":"","inputs":{tensors},"outputs":{tensors}}}'
    connection.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {len(page)}\r\nconnection: close\r\n\r\n{page}".encode())
