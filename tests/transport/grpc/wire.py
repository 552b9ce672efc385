"""A client that speaks HTTP/2 frame by frame, well or badly."""

import select
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from hpack import Decoder, Encoder
from tests.transport.grpc.live import TIMEOUT_S

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
LIVE = "/inference.GRPCInferenceService/ServerLive"
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM_INFER = "/inference.GRPCInferenceService/ModelStreamInfer"
EMPTY = b"\x00\x00\x00\x00\x00"
"""A gRPC message with nothing in it."""


@dataclass(frozen=True)
class Got:
    """A frame that the server sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of RST_STREAM or GOAWAY."""
        return int.from_bytes(self.payload[4:8] if self.kind == GOAWAY else self.payload[:4], "big")


@dataclass
class Answer:
    """What the server said on one stream."""

    headers: dict[str, str]
    body: bytes
    reset: int | None

    @property
    def status(self) -> int:
        return int(self.headers["grpc-status"])

    @property
    def message(self) -> bytes:
        """The one message of the answer."""
        assert self.body[:5] == b"\x00" + (len(self.body) - 5).to_bytes(4, "big")
        return self.body[5:]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def framed(message: bytes) -> bytes:
    """A gRPC message."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


class Wire:
    """One connection. Its header blocks are in step with the server's as long as it is told of every one."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._encoder, self._decoder = Encoder(), Decoder()
        self._buffer = b""
        self._next = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def greet(self, settings: bytes = b"") -> None:
        """Say hello, and take the server's."""
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))
        assert self.read().kind == SETTINGS
        assert self.read().kind == WINDOW_UPDATE
        ack = self.read()
        assert (ack.kind, ack.flags) == (SETTINGS, ACK)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.sock.sendall(data)

    def block(self, path: str = LIVE, **fields: str) -> bytes:
        """The header block of a call; an empty field is left out."""
        headers = {":method": "POST", ":scheme": "http", ":path": path, "te": "trailers"}
        headers["content-type"] = "application/grpc"
        headers |= {name.replace("_", "-"): value for name, value in fields.items()}
        if "method" in headers:
            headers[":method"] = headers.pop("method")
        return bytes(self._encoder.encode([item for item in headers.items() if item[1]]))

    def open(self, path: str = LIVE, *, is_last: bool = False, **fields: str) -> int:
        """Send the header of a call; the stream it is on."""
        stream, self._next = self._next, self._next + 2
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if is_last else 0), stream, self.block(path, **fields)))
        return stream

    def call(self, path: str = LIVE, body: bytes = EMPTY, **fields: str) -> Answer:
        """One call whose body is sent at once."""
        stream = self.open(path, is_last=False, **fields)
        self.send(frame(DATA, END_STREAM, stream, body))
        return self.answer(stream)

    def read(self) -> Got:
        """The next frame.

        Raises:
            EOFError: when the server has closed the connection.
        """
        while len(self._buffer) < 9 or len(self._buffer) < 9 + int.from_bytes(self._buffer[:3], "big"):
            data = self.sock.recv(1 << 20)
            if not data:
                raise EOFError
            self._buffer += data
        size = int.from_bytes(self._buffer[:3], "big")
        kind, flags, stream = struct.unpack_from(">BBL", self._buffer, 3)
        payload, self._buffer = self._buffer[9 : 9 + size], self._buffer[9 + size :]
        return Got(kind, flags, stream, payload)

    def frames(self) -> Iterator[Got]:
        """All that comes until the server closes the connection."""
        while True:
            try:
                yield self.read()
            except (EOFError, ConnectionResetError):
                return

    def until(self, kind: int) -> Got:
        """The next frame of that type; others are dropped."""
        return next(got for got in self.frames() if got.kind == kind)

    def answer(self, stream: int) -> Answer:
        """What is said on `stream`, to its end; what is said on others is dropped."""
        answer = Answer({}, b"", None)
        for got in self.frames():
            if got.kind == HEADERS:
                headers = {str(name): str(value) for name, value in self._decoder.decode(got.payload)}
            if got.stream != stream:
                continue
            if got.kind == RST_STREAM:
                answer.reset = got.code
                return answer
            if got.kind == HEADERS:
                answer.headers |= headers
            elif got.kind == DATA:
                answer.body += got.payload
            if got.kind in (HEADERS, DATA) and got.flags & END_STREAM:
                return answer
        raise EOFError

    def ping(self) -> None:
        """Have everything answered that was sent before."""
        self.send(frame(PING, 0, 0, b"pingpong"))
        while (got := self.read()).kind != PING or got.payload != b"pingpong":
            pass

    def is_silent(self, seconds: float) -> bool:
        """Whether the server says nothing, and does not close the connection, for so long."""
        return not self._buffer and not select.select([self.sock], [], [], seconds)[0]

    def ends(self) -> list[Got]:
        """All that comes until the server closes the connection, which it must."""
        return list(self.frames())
