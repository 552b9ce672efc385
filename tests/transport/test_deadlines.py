"""A client that trickles is cut at the deadline, and the others notice nothing."""

import socket
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from tests.transport.live import BODY, PATH, TIMEOUT_S, Running, ask

from fairlead.transport.limits import Limits

HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
WAIT_S = 0.4


@pytest.fixture
def running(start: Callable[..., Running]) -> Running:
    """A server whose deadlines are short."""
    return start(Limits(header_timeout_s=WAIT_S, body_timeout_s=WAIT_S))


def trickle(running: Running, sent: bytes, drops: bytes) -> float:
    """Send `sent`, then `drops` a byte every 20 ms; the seconds until the server closed the connection."""
    with closing(socket.create_connection(("127.0.0.1", running.port), TIMEOUT_S)) as client:
        began = time.monotonic()
        client.settimeout(0.02)
        left = iter(drops)
        client.sendall(sent)
        while time.monotonic() - began < TIMEOUT_S:
            try:
                if client.recv(1000) == b"":
                    break
            except TimeoutError:
                if (byte := next(left, None)) is not None:
                    client.sendall(bytes([byte]))
            except ConnectionResetError:
                break
        return time.monotonic() - began


@pytest.mark.parametrize(
    ("sent", "drops"),
    [
        (b"", b""),
        (b"", HEAD * 10),
        (HEAD[:30], b""),
        (HEAD + BODY[:5], b""),
        (HEAD.replace(str(len(BODY)).encode(), b"100000"), b" " * 1000),
    ],
    ids=["no bytes", "header drip", "header stall", "body stall", "body drip"],
)
def test_a_slow_client_is_cut_at_the_deadline(running: Running, sent: bytes, drops: bytes) -> None:
    """Five kinds of slowness; a drop now and then wins no time."""
    seconds = trickle(running, sent, drops)

    assert WAIT_S * 0.9 < seconds < 10  # the least that the usual limits allow
    with closing(running.connect()) as connection:
        assert ask(connection).status == 200


def test_an_answer_may_take_longer_than_the_deadlines(running: Running) -> None:
    """They are for what clients send, not for what is computed."""
    gate = running.holds_answers()
    with closing(running.connect()) as slow:
        slow.request("POST", PATH, BODY)
        trickle(running, b"", b"")
        running.loop.call_soon_threadsafe(gate.set)
        assert slow.getresponse().status == 200


def test_a_kept_connection_may_be_idle_longer(running: Running) -> None:
    """Between two requests nothing is being received."""
    with closing(running.connect()) as connection:
        assert ask(connection).status == 200
        trickle(running, b"", b"")
        assert ask(connection).status == 200
