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

    def encode(self, host: str, prefix: str, headers: Sequence[tuple[str, str]]) -> bytes:
        """All of it, for that host, with `prefix` before the path and `headers` as well."""
        own = (("host", host), *headers, *self.headers, ("content-length", str(len(self.body))))
        lines = [f"{self.method} {prefix}{self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in own), "", ""]
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
        message = self._message
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if not message.is_complete:
                raise
            message.has_more = True
        if not message.is_complete:
            return None
        return HttpAnswer(
            status=self._parser.get_status_code(),
            headers=message.headers,
            body=b"".join(message.body),
            keep_alive=self._parser.get_http_version() == "1.1" and not message.is_last,
        )


class _Message:
    """What the parser calls.

    Attributes:
        has_more: whether something came behind it, which nobody asked for.
    """

    def __init__(self) -> None:
        self.has_more = False
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.is_complete = False

    def on_message_begin(self) -> None:
        if self.is_complete:
            raise ValueError("there is another one")  # whose headers are not this one's

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self.body.append(data)

    @property
    def is_last(self) -> bool:
        """Whether nothing more is to be asked on its connection; the parser tells only while it is at it."""
        return self.has_more or "close" in self.headers.get("connection", "").lower()

    def on_message_complete(self) -> None:
        self.is_complete = True
