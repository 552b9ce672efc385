"""An HTTP/1.1 connection as light as Python allows, that notices all that can go wrong with a request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

__all__ = ["Answer", "Connection", "connect", "post"]

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer; `head` is in lower case."""

    status: int
    head: bytes
    body: bytes

    @property
    def is_last(self) -> bool:
        """Whether the server closes the connection after it."""
        return b"\r\nconnection: close" in self.head


class Connection(asyncio.Protocol):
    """Asks one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._received = b""
        self.is_open = False

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send one whole request.

        The future fails with ConnectionError when the connection ends before the whole answer has come.
        """
        self._waiting = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            self._waiting.set_exception(ConnectionResetError("closed before the request was sent"))
        else:
            self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """End the connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(_HEAD_END)
        if end < 0:
            return
        head = self._received[:end].lower()
        start = head.find(_LENGTH) + len(_LENGTH)
        body_end = end + len(_HEAD_END) + int(head[start:].split(b"\r\n", 1)[0])
        if len(self._received) >= body_end:
            answer = Answer(int(head[9:12]), head, self._received[end + len(_HEAD_END) : body_end])
            self._received = self._received[body_end:]
            if answer.is_last:
                self.close()
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(exc or ConnectionResetError("closed before the answer was whole"))


async def connect(port: int) -> Connection:
    """A new connection to this machine.

    Raises:
        OSError: when it is refused.
    """
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
    return connection


def post(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes of a POST."""
    lines = [f"POST {path} HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
