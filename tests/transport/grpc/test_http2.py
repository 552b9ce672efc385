"""The rules of HTTP/2, from a client that breaks them."""

import struct
from collections.abc import Callable

import pytest
from tests.transport.grpc.conftest import Start
from tests.transport.grpc.live import Running
from tests.transport.grpc.protos import infer_request
from tests.transport.grpc.wire import (
    ACK,
    CONTINUATION,
    DATA,
    EMPTY,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    INFER,
    LIVE,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_INFER,
    WINDOW_UPDATE,
    Wire,
    frame,
    framed,
)

from fairlead.telemetry.exposition import registry_of
from fairlead.transport.grpc.frames import ErrorCode
from fairlead.transport.grpc.session import MAX_STREAMS

PRIORITY_FLAG = 0x20


def test_the_server_says_hello(server: Running) -> None:
    """Its settings come first, whatever the client does; pushes are not its to allow."""
    with Wire(server.port) as client:
        hello = client.read()
        values = dict(struct.iter_unpack(">HL", hello.payload))

    assert (hello.kind, hello.flags, hello.stream) == (SETTINGS, 0, 0)
    assert values == {3: MAX_STREAMS, 4: 1 << 20, 6: 16384}


def test_a_ping_is_answered_at_once(wire: Wire) -> None:
    """A PING comes back with its eight bytes, and the answer to a PING does not."""
    wire.send(frame(PING, 0, 0, b"12345678") + frame(PING, ACK, 0, b"87654321"))
    got = wire.read()

    assert (got.kind, got.flags, got.payload) == (PING, ACK, b"12345678")
    wire.ping()


def test_frames_may_arrive_byte_by_byte(wire: Wire) -> None:
    """Where the network cuts does not matter."""
    stream = 1
    request = frame(HEADERS, END_HEADERS, stream, wire.block()) + frame(DATA, END_STREAM, stream, EMPTY)
    for index in range(len(request)):
        wire.send(request[index : index + 1])

    assert wire.answer(stream).status == 0


def test_a_header_block_may_come_in_pieces(wire: Wire) -> None:
    """CONTINUATION frames complete a header, padding and priority around its first piece included."""
    block = wire.block()
    first = bytes([3]) + b"\x00\x00\x00\x00\x10" + block[:5] + b"\x00\x00\x00"
    wire.send(
        frame(HEADERS, PADDED | PRIORITY_FLAG, 1, first)
        + frame(CONTINUATION, 0, 1, block[5:9])
        + frame(CONTINUATION, END_HEADERS, 1, block[9:])
        + frame(DATA, END_STREAM | PADDED, 1, b"\x04" + EMPTY + b"\x00" * 4)
    )

    assert wire.answer(1).status == 0


def test_what_nobody_knows_is_ignored(wire: Wire) -> None:
    """Frames and settings of unknown types, and priorities, mean nothing."""
    wire.send(
        frame(0x42, 0xFF, 7, b"anything")
        + frame(SETTINGS, 0, 0, struct.pack(">HL", 0xFE03, 1))
        + frame(PRIORITY, 0, 99, b"\x00\x00\x00\x01\x05")
    )

    assert wire.call().status == 0


def test_a_request_may_end_with_trailers(wire: Wire) -> None:
    """Trailers of a request are decoded, for the table's sake, and left aside."""
    stream = wire.open()
    wire.send(frame(DATA, 0, stream, EMPTY))
    trailer = bytes(wire._encoder.encode([("x-checksum", "1")]))
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, trailer))

    assert wire.answer(stream).status == 0
    assert wire.call().status == 0


def test_header_blocks_that_repeat_mean_the_same_until_the_table_changes(wire: Wire) -> None:
    """A block of references is read anew once an insertion has moved what it refers to."""
    first = wire.block(LIVE, x_first="1")
    wire.send(frame(HEADERS, END_HEADERS, 1, first) + frame(DATA, END_STREAM, 1, EMPTY))
    assert wire.answer(1).status == 0
    again = wire.block(LIVE, x_first="1")
    for stream in (3, 5):
        wire.send(frame(HEADERS, END_HEADERS, stream, again) + frame(DATA, END_STREAM, stream, EMPTY))
        assert wire.answer(stream).status == 0
    moved = wire.block("/nowhere/at.All", x_second="2")
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 7, moved))
    assert wire.answer(7).status == 12
    wire.send(frame(HEADERS, END_HEADERS, 9, again) + frame(DATA, END_STREAM, 9, EMPTY))

    # The same bytes now mean other fields: what they do mean is not the call that they were.
    assert wire.answer(9).headers.get("grpc-status") != "0"


BROKEN: dict[str, tuple[Callable[[Wire], bytes], ErrorCode]] = {
    "SETTINGS on a stream": (lambda _: frame(SETTINGS, 0, 1), ErrorCode.PROTOCOL_ERROR),
    "SETTINGS of 5 bytes": (lambda _: frame(SETTINGS, 0, 0, b"12345"), ErrorCode.FRAME_SIZE_ERROR),
    "a SETTINGS answer with a payload": (lambda _: frame(SETTINGS, ACK, 0, b"123456"), ErrorCode.FRAME_SIZE_ERROR),
    "ENABLE_PUSH 2": (lambda _: frame(SETTINGS, 0, 0, struct.pack(">HL", 2, 2)), ErrorCode.PROTOCOL_ERROR),
    "a window of 2^31": (
        lambda _: frame(SETTINGS, 0, 0, struct.pack(">HL", 4, 2**31)),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "frames of 1 byte": (lambda _: frame(SETTINGS, 0, 0, struct.pack(">HL", 5, 1)), ErrorCode.PROTOCOL_ERROR),
    "frames of 2^24": (lambda _: frame(SETTINGS, 0, 0, struct.pack(">HL", 5, 2**24)), ErrorCode.PROTOCOL_ERROR),
    "PING on a stream": (lambda _: frame(PING, 0, 1, b"12345678"), ErrorCode.PROTOCOL_ERROR),
    "PING of 7 bytes": (lambda _: frame(PING, 0, 0, b"1234567"), ErrorCode.FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (lambda _: frame(GOAWAY, 0, 1, b"12345678"), ErrorCode.PROTOCOL_ERROR),
    "GOAWAY of 4 bytes": (lambda _: frame(GOAWAY, 0, 0, b"1234"), ErrorCode.FRAME_SIZE_ERROR),
    "PRIORITY on stream 0": (lambda _: frame(PRIORITY, 0, 0, b"12345"), ErrorCode.PROTOCOL_ERROR),
    "PRIORITY of 4 bytes": (lambda _: frame(PRIORITY, 0, 1, b"1234"), ErrorCode.FRAME_SIZE_ERROR),
    "PUSH_PROMISE": (lambda _: frame(PUSH_PROMISE, END_HEADERS, 1, b"1234"), ErrorCode.PROTOCOL_ERROR),
    "DATA on stream 0": (lambda _: frame(DATA, 0, 0, b"x"), ErrorCode.PROTOCOL_ERROR),
    "DATA on an idle stream": (lambda _: frame(DATA, 0, 5, b"x"), ErrorCode.PROTOCOL_ERROR),
    "DATA on a stream of ours": (lambda _: frame(DATA, 0, 2, b"x"), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM on stream 0": (lambda _: frame(RST_STREAM, 0, 0, b"1234"), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (lambda _: frame(RST_STREAM, 0, 5, b"1234"), ErrorCode.PROTOCOL_ERROR),
    "RST_STREAM of 3 bytes": (lambda _: frame(RST_STREAM, 0, 1, b"123"), ErrorCode.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE by 0": (lambda _: frame(WINDOW_UPDATE, 0, 0, bytes(4)), ErrorCode.PROTOCOL_ERROR),
    "WINDOW_UPDATE too far": (
        lambda _: frame(WINDOW_UPDATE, 0, 0, (2**31 - 1).to_bytes(4, "big")),
        ErrorCode.FLOW_CONTROL_ERROR,
    ),
    "WINDOW_UPDATE on an idle stream": (lambda _: frame(WINDOW_UPDATE, 0, 5, b"\0\0\0\1"), ErrorCode.PROTOCOL_ERROR),
    "WINDOW_UPDATE of 3 bytes": (lambda _: frame(WINDOW_UPDATE, 0, 0, b"123"), ErrorCode.FRAME_SIZE_ERROR),
    "HEADERS on stream 0": (lambda w: frame(HEADERS, END_HEADERS, 0, w.block()), ErrorCode.PROTOCOL_ERROR),
    "HEADERS on a stream of ours": (lambda w: frame(HEADERS, END_HEADERS, 2, w.block()), ErrorCode.PROTOCOL_ERROR),
    "more padding than payload": (
        lambda _: frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09x"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "padding without its length": (lambda _: frame(HEADERS, END_HEADERS | PADDED, 1), ErrorCode.PROTOCOL_ERROR),
    "HEADERS too short for a priority": (
        lambda _: frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 1, b"123"),
        ErrorCode.FRAME_SIZE_ERROR,
    ),
    "CONTINUATION of nothing": (lambda _: frame(CONTINUATION, END_HEADERS, 1), ErrorCode.PROTOCOL_ERROR),
    "CONTINUATION on another stream": (
        lambda w: frame(HEADERS, 0, 1, w.block()) + frame(CONTINUATION, END_HEADERS, 3),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a frame inside a header block": (
        lambda w: frame(HEADERS, 0, 1, w.block()) + frame(PING, 0, 0, b"12345678"),
        ErrorCode.PROTOCOL_ERROR,
    ),
    "a block that is no HPACK": (
        lambda _: frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "a reference into an empty table": (
        lambda _: frame(HEADERS, END_HEADERS, 1, b"\xff\x00"),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "a table larger than allowed": (
        lambda w: frame(HEADERS, END_HEADERS, 1, b"\x3f\xe1\xff\x03" + w.block()),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "a frame of 16385 bytes": (lambda _: frame(DATA, 0, 1, bytes(16385)), ErrorCode.FRAME_SIZE_ERROR),
    "a header of 16 KiB": (
        lambda w: frame(HEADERS, END_HEADERS, 1, w.block(x_long="a" * 16384)),
        ErrorCode.ENHANCE_YOUR_CALM,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_frame_ends_the_connection(wire: Wire, server: Running, name: str) -> None:
    """The client is told why in a GOAWAY, the connection is closed, and others are served on."""
    make, code = BROKEN[name]
    wire.send(make(wire))
    got = wire.ends()

    assert [one.code for one in got if one.kind == GOAWAY] == [code]
    with Wire(server.port) as other:
        other.greet()
        assert other.call().status == 0


GREETINGS = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a wrong preface": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00",
    "no SETTINGS": PREFACE + frame(PING, 0, 0, bytes(8)),
}


@pytest.mark.parametrize("name", GREETINGS)
def test_what_is_no_http2_is_told_so(server: Running, name: str) -> None:
    """A client of another protocol gets a GOAWAY and a closed connection, not silence."""
    with Wire(server.port) as client:
        client.send(GREETINGS[name])
        got = client.ends()

    assert [one.code for one in got if one.kind == GOAWAY] == [ErrorCode.PROTOCOL_ERROR]


MALFORMED = {
    "an upper-case name": [("X-Upper", "1")],
    "a space in a name": [("x y", "1")],
    "an empty name": [("", "1")],
    "a line end in a value": [("x", "a\nb")],
    "a NUL in a value": [("x", "a\x00b")],
    "a value that begins with a space": [("x", " a")],
    "connection": [("connection", "close")],
    "transfer-encoding": [("transfer-encoding", "chunked")],
    "te: gzip": [("te", "gzip")],
    "an unknown pseudo-header": [(":status", "200")],
    "a pseudo-header twice": [(":path", "/y")],
    "a pseudo-header after the others": [("x", "1"), (":authority", "y")],
    "a content-length that is no number": [("content-length", "x")],
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_request_loses_its_stream_alone(wire: Wire, name: str) -> None:
    """Headers that are decodable and wrong reset the stream; the connection goes on."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", LIVE), *MALFORMED[name]]
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, bytes(wire._encoder.encode(fields))))

    assert wire.answer(1).reset == ErrorCode.PROTOCOL_ERROR
    wire._next = 3
    assert wire.call().status == 0


@pytest.mark.parametrize("missing", [":method", ":scheme", ":path"])
def test_a_request_without_its_pseudo_headers_is_malformed(wire: Wire, missing: str) -> None:
    """Method, scheme and path are needed, and the path is not empty."""
    fields = {":method": "POST", ":scheme": "http", ":path": LIVE, "te": "trailers"}
    del fields[missing]
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, bytes(wire._encoder.encode(list(fields.items())))))

    assert wire.answer(1).reset == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize(("length", "is_good"), [("5", True), ("4", False), ("6", False)])
def test_a_body_must_have_the_length_that_was_announced(wire: Wire, length: str, *, is_good: bool) -> None:
    """A content-length that the DATA frames do not add up to is malformed."""
    answer = wire.call(LIVE, content_length=length)

    assert (answer.reset is None) == is_good
    assert is_good or answer.reset == ErrorCode.PROTOCOL_ERROR


def test_a_stream_number_goes_up(wire: Wire) -> None:
    """A header on a lower number than an earlier one ends the connection."""
    assert wire.call().status == 0
    wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, wire.block()))

    assert [one.code for one in wire.ends() if one.kind == GOAWAY] == [ErrorCode.STREAM_CLOSED]


def test_data_after_the_end_is_refused(wire: Wire) -> None:
    """DATA on a stream that the client has ended is answered by a reset."""
    assert wire.call().status == 0
    wire.send(frame(DATA, 0, 1, b"more"))
    got = wire.until(RST_STREAM)

    assert (got.stream, got.code) == (1, ErrorCode.STREAM_CLOSED)
    wire.ping()


def test_data_beyond_the_window_is_refused(start: Start) -> None:
    """A client that ignores a stream's window loses the stream; the window is not widened for what nobody took yet."""
    running = start()
    held = running.hold()
    with Wire(running.port) as client:
        client.greet()
        stream = client.open(STREAM_INFER)
        piece = frame(DATA, 0, stream, framed(bytes(16379)))
        client.send(frame(DATA, 0, stream, _infer()))
        for _ in range(65):
            client.send(piece)
        got = client.until(RST_STREAM)
        client.ping()
    running.release(held)

    assert (got.stream, got.code) == (stream, ErrorCode.FLOW_CONTROL_ERROR)


def test_one_connection_has_so_many_streams_and_no_more(start: Start) -> None:
    """Streams over the limit are refused, and may be tried again."""
    running = start()
    held = running.hold()
    with Wire(running.port) as client:
        client.greet()
        block = client.block(INFER)
        client.send(frame(HEADERS, END_HEADERS, 1, block))
        again = client.block(INFER)
        for stream in range(3, 2 * MAX_STREAMS, 2):
            client.send(frame(HEADERS, END_HEADERS, stream, again))
        client.ping()
        client.send(frame(HEADERS, END_HEADERS, 2 * MAX_STREAMS + 1, again))
        got = client.until(RST_STREAM)
    running.release(held)

    assert (got.stream, got.code) == (2 * MAX_STREAMS + 1, ErrorCode.REFUSED_STREAM)


def test_a_reset_cancels_the_call(start: Start) -> None:
    """A call whose client gives it up is cancelled and counted so, and the connection goes on."""
    running = start()
    held = running.hold()
    with Wire(running.port) as client:
        client.greet()
        stream = client.open(INFER)
        client.send(frame(DATA, END_STREAM, stream, _infer()))
        client.ping()
        client.send(frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big")))
        client.ping()
        assert client.call().status == 0
    running.release(held)

    assert _count(running, code="CANCELLED", model="echo") == 1


def test_a_connection_that_breaks_cancels_its_calls(start: Start) -> None:
    """A client that is gone is not computed for."""
    running = start()
    held = running.hold()
    with Wire(running.port) as client:
        client.greet()
        for _ in range(3):
            stream = client.open(INFER)
            client.send(frame(DATA, END_STREAM, stream, _infer()))
        client.ping()
    with Wire(running.port) as client:
        client.greet()
        while running.connections() > 1:
            client.ping()
    running.release(held)

    assert _count(running, code="CANCELLED", model="echo") == 3


def _infer() -> bytes:
    return framed(infer_request("echo", x=[[1.0, 2.0]]).SerializeToString())


def _count(running: Running, **labels: str) -> float:
    """How many calls were counted with these labels."""
    for metric in registry_of(running.metrics.instruments).collect():
        for sample in metric.samples:
            if sample.name == "fairlead_requests_total" and labels.items() <= sample.labels.items():
                return sample.value
    return 0
