"""From the bytes that a client sends to requests, within limits: httptools parses, this decides what is let through."""

from __future__ import annotations

import functools
import time
from collections import deque
from typing import Any

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestParser,
    parse_url,
)

from fairlead.errors import Code
from fairlead.transport.codes import HttpError
from fairlead.transport.message import Head, Request

__all__ = ["MAX_CHUNKS", "MAX_HEADERS", "MAX_HEAD_BYTES", "MAX_URL_BYTES", "MOST_WAITING", "RequestReader"]

MAX_HEAD_BYTES = 16 * 1024
MAX_URL_BYTES = 8 * 1024
MAX_HEADERS = 100
MAX_CHUNKS = 65_536
MOST_WAITING = 16
"""Reading stops when so many complete requests wait; one piece more may bring some beyond."""

_PIECE_BYTES = 16 * 1024
_CHUNK_FRAME_BYTES = 64
"""What a chunk may take beside its data: a size, an extension, line ends."""

_FRAMING = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})

_END_OF_HEAD = b"\r\n\r\n"
_KNOWN_HEAD_BYTES, _MOST_KNOWN = 2048, 256
_SPECIAL = frozenset({b"transfer-encoding", b"expect"})
_known: dict[bytes, tuple[Head, int]] = {}
"""Heads that were read lately and the bytes of body that each announces: clients send the same one again and again."""


class RequestReader:
    """Reads one connection. It never raises: what is wrong becomes its `fault`, after which it reads nothing.

    Attributes:
        requests: those that are complete, the oldest first.
        fault: what the client did wrong, and as much of its request as is known.
        began: the monotonic second at which the header or body that is being received began; None between requests.
        is_in_body: whether it is a body.
        owes_continue: whether the client waits to be told to send the body.
    """

    def __init__(self, max_body_bytes: int) -> None:
        self.requests: deque[Request] = deque()
        self.fault: tuple[Request, HttpError] | None = None
        self._max_body_bytes = max_body_bytes
        self._parser: Any = HttpRequestParser(self)  # None once it has stopped
        self._unread: bytes | memoryview = b""
        self._is_between = True  # requests: the parser has begun none
        self._piece_bytes = self._fed_bytes = 0
        self._start()
        self.began: float | None = self._arrived

    @property
    def is_full(self) -> bool:
        """Whether something was left unread because enough requests wait."""
        return bool(self._unread)

    def feed(self, data: bytes) -> None:
        """Read `data`, as far as there is room for its requests. Not to be called while `is_full`."""
        was_between, waiting = self._is_between, len(self.requests)
        if was_between and waiting < MOST_WAITING and self._take_known(data):
            return
        self._unread = data if len(data) <= _PIECE_BYTES else memoryview(data)
        self._read()
        if was_between and self._is_between and len(self.requests) == waiting + 1:
            _learn(data, self.requests[-1])

    def _take_known(self, data: bytes) -> bool:
        """Take `data` if it is one whole request whose head was read before: the parser would say the same again."""
        end = data.find(_END_OF_HEAD, 0, _KNOWN_HEAD_BYTES) + len(_END_OF_HEAD)
        known = _known.get(data[:end])
        if known is None:
            return False
        head, length = known
        if len(data) - end != length or length > self._max_body_bytes:
            return False
        now = time.monotonic()
        self.requests.append(Request(head, data[end:], arrived=now, max_body_bytes=self._max_body_bytes))
        self.began = None
        return True

    def read_on(self) -> None:
        """Read what was left, now that fewer requests wait."""
        if self.began is not None:
            self.began = time.monotonic()  # the wait was not the client's fault
        self._read()

    def stop(self) -> None:
        """Read nothing any more."""
        self._parser = None  # it holds this object's methods: a cycle that would outlive the connection
        self._unread = b""
        self._is_between = False
        self.began, self.is_in_body, self.owes_continue = None, False, False

    def fail(self, error: HttpError) -> None:
        """Stop for `error`."""
        self.fault = self.unfinished(), error
        self.stop()

    def unfinished(self) -> Request:
        """As much as is known of the request that is being received."""
        return self._request(b"")

    def _start(self) -> None:
        """Make room for a request."""
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._length = self._body_bytes = self._chunks = 0
        self._version, self._keep_alive = "1.1", False
        self._arrived = time.monotonic()
        self.is_in_body = self.owes_continue = self._is_upgrade = False

    def _read(self) -> None:
        while self._unread and len(self.requests) < MOST_WAITING:
            size = max(_PIECE_BYTES, self._length - self._body_bytes)  # no piece but a small one has two requests in it
            piece, self._unread = self._unread[:size], self._unread[size:]
            self._parse(piece)

    def _parse(self, piece: bytes | memoryview) -> None:
        if self._parser is None:
            return
        self._piece_bytes = len(piece)
        self._fed_bytes += self._piece_bytes
        try:
            self._parser.feed_data(piece)
        except HttpParserUpgrade as upgrade:
            self._decline_upgrade(piece[upgrade.args[0] :])
        except HttpParserCallbackError as error:
            if not isinstance(error.__context__, HttpError):
                raise
            self.fail(error.__context__)
        except HttpParserError as error:
            if self._parser is not None:  # else the last request has been read, and what is behind it does not matter
                self.fail(_refused(400, f"This is no request of HTTP/1.1: {error}"))
        if self.began is not None and self._overhead_bytes() > MAX_HEAD_BYTES + _PIECE_BYTES:
            self.fail(self._head_too_large())  # neither held nor measured yet, as a complete head has been

    def _overhead_bytes(self) -> int:
        """How much of what was fed is no body; up to a piece of it may belong to the request before."""
        return self._fed_bytes - self._body_bytes - self._chunks * _CHUNK_FRAME_BYTES

    def _decline_upgrade(self, rest: bytes | memoryview) -> None:
        """Go on with HTTP/1.1, body and all, as if no upgrade had been offered: the parser would take leave here."""
        method = self._parser.get_method()
        lines = [b"%b: %b\r\n" % header for header in self._headers if header[0] != b"upgrade"]
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self._url, b"".join(lines))
        self._parser = HttpRequestParser(self)
        self._parse(head)
        self._parse(rest)

    # -- called by the parser --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._start()
        self._is_between = False
        self._fed_bytes = self._piece_bytes
        self.began = self._arrived

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_in_body:  # trailers say nothing that anybody here minds
            self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        self._version = self._parser.get_http_version()
        self._is_upgrade = self._parser.should_upgrade()
        self._keep_alive = self._parser.should_keep_alive()
        self._check_size()
        self._check_framing()
        self.is_in_body = True
        self._arrived = self.began = time.monotonic()

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise _refused(413, f"The body comes in more than {MAX_CHUNKS} chunks", hint="send fewer, larger ones")

    def on_body(self, part: bytes) -> None:
        self._body.append(part)
        self._body_bytes += len(part)
        if self._body_bytes > self._max_body_bytes:
            raise self.unfinished().too_large()

    def on_message_complete(self) -> None:
        if self._is_upgrade:  # it is not, if there is a body
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self.requests.append(self._request(body))
        self._body.clear()
        self._is_between = True
        self.began, self.is_in_body, self.owes_continue = None, False, False
        if not self._keep_alive:
            self.stop()

    # -- what is let through ---------------------------------------------------------------------------------------

    def _request(self, body: bytes) -> Request:
        path, query = _split(self._url)
        head = Head(
            method=self._parser.get_method().decode(),
            path=path,
            query=query,
            headers=tuple(self._headers),
            version=self._version,
            keep_alive=self._keep_alive,
        )
        return Request(head, body, arrived=self._arrived, max_body_bytes=self._max_body_bytes)

    def _check_size(self) -> None:
        if len(self._headers) > MAX_HEADERS:
            raise _refused(431, f"There are {len(self._headers)} headers, and {MAX_HEADERS} are taken")
        if self._fed_bytes > MAX_HEAD_BYTES or len(self._url) > MAX_URL_BYTES:  # only then it may be too large
            size = len(self._url) + sum(len(name) + len(value) + len(": \r\n") for name, value in self._headers)
            if size > MAX_HEAD_BYTES or len(self._url) > MAX_URL_BYTES:
                raise self._head_too_large()

    def _head_too_large(self) -> HttpError:
        if self.is_in_body:
            return _refused(400, "The chunks' extensions, or the trailers, are larger than what is taken")
        if len(self._url) > MAX_URL_BYTES:
            return _refused(414, f"The URL is longer than the {MAX_URL_BYTES} bytes that are taken")
        return _refused(431, f"The request line and headers are larger than the {MAX_HEAD_BYTES} bytes that are taken")

    def _check_framing(self) -> None:
        """Refuse what two servers in a row could understand in two ways; httptools has refused most of it already."""
        if self._version not in ("1.1", "1.0"):
            raise _refused(400, f"HTTP/{self._version} is not spoken here", hint="use HTTP/1.1")
        if self._parser.get_method() == b"CONNECT":
            raise _refused(405, "CONNECT is for proxies, and this is none")
        hosts = 0
        for name, value in self._headers:
            if name in _FRAMING:
                hosts += name == b"host"
                self._check_header(name, value)
        if hosts > 1 or (hosts == 0 and self._version == "1.1"):
            raise _refused(400, f"A request has one Host header, and this one has {hosts}")

    def _check_header(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._length = int(value)
            if self._length > self._max_body_bytes:
                raise self.unfinished().too_large()
        if name == b"transfer-encoding" and (value.lower() != b"chunked" or self._version == "1.0"):
            raise _refused(400, f"Transfer-Encoding {value[:80].decode('latin-1')!r} is not taken", hint="chunked is")
        if name == b"expect" and self._version == "1.1":
            if value.lower() != b"100-continue":
                raise _refused(417, f"Expect {value[:80].decode('latin-1')!r} cannot be met")
            self.owes_continue = True


def _learn(data: bytes, request: Request) -> None:
    """Note the head of `request`, if `data` is all of it and says no more than how long the body is."""
    end = data.find(_END_OF_HEAD, 0, _KNOWN_HEAD_BYTES) + len(_END_OF_HEAD)
    length = len(data) - end
    head = request.head
    if end < len(_END_OF_HEAD) or length != len(request.body) or length != int(head.header(b"content-length") or b"0"):
        return
    if any(name in _SPECIAL for name, _ in head.headers):
        return
    if len(_known) >= _MOST_KNOWN:
        del _known[next(iter(_known))]
    _known[data[:end]] = head, length


@functools.lru_cache(maxsize=256)  # few are asked again and again
def _split(url: bytes) -> tuple[str, str]:
    """Path and query. Nothing is decoded, and a fragment, which clients should not send, is dropped."""
    if not url.startswith(b"/") or b"#" in url:
        try:
            parsed: Any = parse_url(url)
        except HttpParserInvalidURLError:  # "*", or the beginning of one
            return url.decode("latin-1"), ""
        return (parsed.path or b"/").decode("latin-1"), (parsed.query or b"").decode("latin-1")
    path, _, query = url.decode("latin-1").partition("?")
    return path, query


def _refused(status: int, message: str, *, hint: str = "") -> HttpError:
    return HttpError(status, Code.INVALID_ARGUMENT, message, hint=hint)
