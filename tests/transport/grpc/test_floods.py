"""Clients that keep a server busy, slow, or full: each has an end, and nobody else notices."""

import contextlib
import struct
import threading
import time
from collections.abc import Callable

import pytest
from tests.transport.grpc.conftest import Start
from tests.transport.grpc.live import TIMEOUT_S, Running
from tests.transport.grpc.protos import infer_request
from tests.transport.grpc.wire import (
    CONTINUATION,
    DATA,
    EMPTY,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INFER,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    STREAM_INFER,
    WINDOW_UPDATE,
    Wire,
    frame,
    framed,
)

from fairlead.transport.grpc.frames import ErrorCode
from fairlead.transport.limits import Limits

CANCEL = (8).to_bytes(4, "big")
MANY = 3000


def _rapid_resets(client: Wire) -> bytes:
    first = frame(HEADERS, END_HEADERS, 1, client.block()) + frame(RST_STREAM, 0, 1, CANCEL)
    block = client.block()
    return first + b"".join(
        frame(HEADERS, END_HEADERS, stream, block) + frame(RST_STREAM, 0, stream, CANCEL)
        for stream in range(3, 2 * MANY, 2)
    )


def _resets_of_running_calls(client: Wire) -> bytes:
    first = frame(HEADERS, END_HEADERS, 1, client.block(INFER)) + frame(DATA, END_STREAM, 1, _slow())
    block = client.block(INFER)
    return first + b"".join(
        frame(HEADERS, END_HEADERS, stream, block)
        + frame(DATA, END_STREAM, stream, _slow())
        + frame(RST_STREAM, 0, stream, CANCEL)
        for stream in range(3, 2 * MANY, 2)
    )


def _slow() -> bytes:
    return framed(infer_request("echo", x=[[1.0, 2.0]]).SerializeToString())


def _malformed(client: Wire) -> bytes:
    first = frame(HEADERS, END_HEADERS | END_STREAM, 1, client.block(te="gzip"))
    block = client.block(te="gzip")
    return first + b"".join(frame(HEADERS, END_HEADERS | END_STREAM, 2 * n + 1, block) for n in range(1, MANY))


FLOODS: dict[str, Callable[[Wire], bytes]] = {
    "PING": lambda _: frame(PING, 0, 0, b"12345678") * MANY,
    "SETTINGS": lambda _: frame(SETTINGS) * MANY,
    "PRIORITY": lambda _: frame(PRIORITY, 0, 1, b"12345") * MANY,
    "GOAWAY": lambda _: frame(GOAWAY, 0, 0, bytes(8)) * MANY,
    "unknown frames": lambda _: frame(0x42, 0, 0, b"x") * MANY,
    "empty DATA": lambda w: frame(HEADERS, END_HEADERS, 1, w.block()) + frame(DATA, 0, 1) * MANY,
    "DATA on a closed stream": lambda w: (
        frame(HEADERS, END_HEADERS, 1, w.block()) + frame(DATA, END_STREAM, 1, EMPTY) + frame(DATA, 0, 1, b"x") * MANY
    ),
    "CONTINUATION": lambda w: frame(HEADERS, 0, 1, w.block()) + frame(CONTINUATION, 0, 1) * MANY,
    "a header block without end": lambda w: (
        frame(HEADERS, 0, 1, w.block()) + frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b" * 3000) * 4
    ),
    "rapid resets": _rapid_resets,
    "resets of running calls": _resets_of_running_calls,
    "malformed requests": _malformed,
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_ends_the_connection(server: Running, name: str) -> None:
    """What brings nothing is put up with for a while; then the client is told to calm down and cut off."""
    with Wire(server.port) as client:
        client.greet()
        sending = threading.Thread(target=_pour, args=(client, FLOODS[name](client)))
        sending.start()
        got = client.ends()
        sending.join(TIMEOUT_S)
    with Wire(server.port) as other:
        other.greet()
        assert other.call().status == 0

    assert [one.code for one in got if one.kind == GOAWAY] == [ErrorCode.ENHANCE_YOUR_CALM]


def _pour(client: Wire, flood: bytes) -> None:
    with contextlib.suppress(OSError):  # the server has had enough
        client.send(flood)


def test_pings_beside_work_are_no_flood(wire: Wire) -> None:
    """A client that measures the line with a PING for every call is served for ever."""
    for _ in range(1500):
        stream = wire.open()
        wire.send(frame(DATA, END_STREAM, stream, EMPTY) + frame(PING, 0, 0, b"bdpprobe"))
        assert wire.answer(stream).status == 0


def test_windows_of_a_few_bytes_are_a_flood(server: Running) -> None:
    """A client that takes a large answer byte by byte is cut off."""
    with Wire(server.port) as client:
        client.greet(struct.pack(">HL", 4, 1))
        request = infer_request("echo", x=[[1.0] * 4000])
        stream = client.open(INFER)
        client.send(frame(DATA, END_STREAM, stream, framed(request.SerializeToString())))
        assert len(client.until(DATA).payload) == 1
        sending = threading.Thread(
            target=_pour, args=(client, frame(WINDOW_UPDATE, 0, stream, (1).to_bytes(4, "big")) * MANY)
        )
        sending.start()
        got = client.ends()
        sending.join(TIMEOUT_S)

    assert [one.code for one in got if one.kind == GOAWAY] == [ErrorCode.ENHANCE_YOUR_CALM]


QUICK = Limits(header_timeout_s=0.4, body_timeout_s=0.4, idle_timeout_s=0.4, write_timeout_s=0.4, linger_s=0.2)

SLOW: dict[str, Callable[[Wire], bytes]] = {
    "nothing": lambda _: b"",
    "half a preface": lambda _: PREFACE[:12],
    "no SETTINGS": lambda _: PREFACE,
    "half a SETTINGS": lambda _: PREFACE + frame(SETTINGS, 0, 0, bytes(6))[:-1],
    "half a frame's head": lambda _: PREFACE + frame(SETTINGS) + b"\x00\x00",
    "half a header": lambda w: PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, w.block())[:-1],
    "half a header block": lambda w: PREFACE + frame(SETTINGS) + frame(HEADERS, 0, 1, w.block()),
    "half a DATA frame": lambda w: (
        PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, w.block()) + frame(DATA, 0, 1, EMPTY)[:-1]
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_client_that_stops_half_way_is_cut(start: Start, name: str) -> None:
    """A greeting, a header or a frame must be complete in time; drops in between do not move the time."""
    running = start(QUICK)
    with Wire(running.port) as client:
        client.send(SLOW[name](client))
        began = time.monotonic()
        client.ends()

        assert time.monotonic() - began < 10  # the least that the usual limits allow


def test_a_trickle_does_not_move_the_deadline(start: Start) -> None:
    """A header that comes byte by byte is cut although something always comes."""
    running = start(QUICK)
    with Wire(running.port) as client:
        client.greet()
        header = frame(HEADERS, END_HEADERS, 1, client.block(x_long="a" * 5000))
        receiving = threading.Thread(target=client.ends)
        receiving.start()
        sent = 0
        while sent < len(header) and receiving.is_alive():
            _pour(client, header[sent : sent + 1])
            sent += 1
            receiving.join(0.01)
        receiving.join(TIMEOUT_S)

        assert sent < len(header)


def test_a_message_that_does_not_come_costs_its_stream_alone(start: Start) -> None:
    """A body must be complete in time; the call ends with DEADLINE_EXCEEDED, and the connection goes on."""
    running = start(Limits(body_timeout_s=0.4, linger_s=0.2))
    with Wire(running.port) as client:
        client.greet()
        stream = client.open(INFER)
        client.send(frame(DATA, 0, stream, b"\x00\x00\x00\x01\x00half"))
        answer = client.answer(stream)

        assert (answer.status, answer.headers["grpc-message"]) == (4, "the message was not complete in time")
        assert client.call().status == 0


def test_a_stream_may_be_silent_between_its_messages(start: Start) -> None:
    """A stream of messages waits for the next one as long as it takes, but not for half of one."""
    running = start(Limits(body_timeout_s=0.3, linger_s=0.2))
    with Wire(running.port) as client:
        client.greet()
        stream = client.open(STREAM_INFER)
        assert client.is_silent(0.8)
        client.send(frame(DATA, 0, stream, _slow()))
        assert client.until(DATA).stream == stream
        client.send(frame(DATA, 0, stream, b"\x00\x00"))

        assert client.answer(stream).status == 4


def test_a_client_that_does_not_read_is_cut(start: Start) -> None:
    """Answers that nobody takes are not kept for ever, and meanwhile nothing more is read."""
    running = start(Limits(write_timeout_s=0.5, linger_s=0.2))
    with Wire(running.port) as client:
        client.greet(struct.pack(">HL", 4, 2**31 - 1))
        client.send(frame(WINDOW_UPDATE, 0, 0, (2**30).to_bytes(4, "big")))
        request = framed(infer_request("echo", x=[[1.0] * 16000]).SerializeToString())
        sending = threading.Thread(target=_ask_and_ask, args=(client, request))
        sending.start()
        sending.join(TIMEOUT_S)

        assert not sending.is_alive()
    with Wire(running.port) as other:
        other.greet()
        while running.connections() > 1:
            other.ping()


def _ask_and_ask(client: Wire, request: bytes) -> None:
    """Send requests until the connection is cut, and read nothing."""
    pieces = [request[start : start + 16000] for start in range(0, len(request), 16000)]
    with contextlib.suppress(OSError):
        for _ in range(1000):
            stream = client.open(INFER)
            client.send(b"".join(frame(DATA, 0, stream, piece) for piece in pieces) + frame(DATA, END_STREAM, stream))


def test_an_answer_that_the_window_holds_back_is_given_up(start: Start) -> None:
    """A client that never widens its window loses the stream, not the connection."""
    running = start(Limits(write_timeout_s=0.4, linger_s=0.2))
    with Wire(running.port) as client:
        client.greet(struct.pack(">HL", 4, 0))
        stream = client.open(INFER)
        client.send(frame(DATA, END_STREAM, stream, _slow()))

        assert client.answer(stream).reset == ErrorCode.CANCEL
        client.ping()


def test_a_connection_that_nobody_uses_is_ended_politely(start: Start) -> None:
    """An idle client is told to go (GOAWAY), and only then is the connection closed."""
    running = start(QUICK)
    with Wire(running.port) as client:
        client.greet()
        got = client.ends()

    assert [one.code for one in got if one.kind == GOAWAY] == [0, 0]
    assert [int.from_bytes(one.payload[:4], "big") for one in got if one.kind == GOAWAY] == [2**31 - 1, 0]


def test_only_so_many_connections_are_taken(start: Start) -> None:
    """Over the limit, connections are closed at once; when one ends there is room again."""
    running = start(Limits(connections=8))
    clients = [Wire(running.port) for _ in range(8)]
    for client in clients:
        client.greet()
    with Wire(running.port) as refused:
        assert refused.ends() == []
    clients[0].sock.close()
    clients[1].ping()
    while running.connections() == 8:
        clients[1].ping()
    with Wire(running.port) as client:
        client.greet()
    for client in clients:
        client.sock.close()


def test_memory_for_messages_has_a_bound(start: Start) -> None:
    """Messages announced beyond the budget are refused; their memory comes back when they end."""
    running = start(message_limit=100_000)
    with Wire(running.port) as client:
        client.greet()
        opened = [client.open(INFER) for _ in range(9)]
        for stream in opened:
            client.send(frame(DATA, 0, stream, b"\x00" + (99_000).to_bytes(4, "big") + b"x"))
        refused = client.answer(opened[-1])
        assert (refused.status, refused.headers["grpc-retry-pushback-ms"]) == (8, "1000")
        assert "hold 792040 bytes" in refused.headers["grpc-message"]
        for stream in opened[:-1]:
            client.send(frame(RST_STREAM, 0, stream, CANCEL))
        client.ping()

        assert running.app.budget._held == 0
