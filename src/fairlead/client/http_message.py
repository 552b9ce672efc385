"""HTTP/1.1 as bytes, whoever sends and receives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httptools

__all__ = ["AnswerReader", "HttpAnswer", "HttpRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What goes out, but for the headers that every request of a client has."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    def encode(self, host: str, headers: Sequence[tuple[str, str]]) -> bytes:
        """All of it, with those `headers` as well."""
        own = (("host", host), *headers, *self.headers, ("content-length", str(len(self.body))))
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in own), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What came; `headers` by names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


class AnswerReader:
    """Takes an answer in pieces."""

    def __init__(self) -> None:
        self.has_begun = False
        self._message = _Message()
        self._parser = httptools.HttpResponseParser(self._message)

    def feed(self, data: bytes) -> HttpAnswer | None:
        """The answer, once `data` was the rest of it.

        Raises:
            EOFError: when `data` is nothing: there is no more of it.
            httptools.HttpParserError: when it is none.
        """
        if not data:
            raise EOFError
        self.has_begun = True
        self._parser.feed_data(data)
        message = self._message
        if not message.is_complete:
            return None
        return HttpAnswer(
            status=self._parser.get_status_code(),
            headers=message.headers,
            body=b"".join(message.body),
            keep_alive=self._parser.get_http_version() == "1.1" and not _says_close(message.headers),
        )


def _says_close(headers: Mapping[str, str]) -> bool:
    """Whether the connection ends with the answer; the parser tells only while it is at it."""
    return "close" in headers.get("connection", "").lower()


class _Message:
    """What the parser calls."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    def on_message_complete(self) -> None:
        self.is_complete = True
