"""A request as a dialect sees it, the response it gives, and what is known of the call for the metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from fairlead.errors import Code, FairleadError
from fairlead.transport.codes import Headers, HttpError

__all__ = ["JSON", "Call", "Dialect", "DisconnectedError", "Receive", "Request", "Response"]

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

JSON = b"application/json"
_CLOSE = ((b"connection", b"close"),)


class DisconnectedError(Exception):
    """The client left before its request was complete: there is nobody to answer."""


@dataclass(slots=True, kw_only=True)
class Call:
    """What the metrics say of a request; a dialect fills it in as it learns."""

    protocol: str
    api: str = ""
    model: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What goes back. `code` is None for a success."""

    status: int = 200
    body: bytes = b""
    content_type: bytes = JSON
    headers: Headers = ()
    code: Code | None = None

    @staticmethod
    def of(
        value: Mapping[str, Any] | Sequence[Any],
        *,
        status: int = 200,
        headers: Headers = (),
        code: Code | None = None,
    ) -> Response:
        """`value` as JSON; numpy values inside are written in their own precision."""
        body = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(status=status, body=body, headers=headers, code=code)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request whose body has not been read.

    Attributes:
        path, query: as the client wrote them, percent signs and all.
        headers: names in lower case.
        max_body_bytes: the largest body that is taken, before and after inflating.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    receive: Receive
    max_body_bytes: int

    def header(self, name: bytes) -> bytes:
        """The first header of that name, or nothing."""
        return next((value for key, value in self.headers if key == name), b"")

    async def body(self) -> bytes:
        """All of the body.

        Raises:
            HttpError: 413, before a byte is read when the client announced too much.
            DisconnectedError: when the client left.
        """
        announced = self.header(b"content-length")
        if announced.isdigit() and int(announced[:20]) > self.max_body_bytes:
            raise self.too_large(is_read=False)
        first, more = await self._chunk()
        chunks, size = [first], len(first)
        while more:
            chunk, more = await self._chunk()
            size += len(chunk)
            chunks.append(chunk)
            if size > self.max_body_bytes:
                raise self.too_large(is_read=not more)
        return b"".join(chunks)

    def too_large(self, *, is_read: bool) -> HttpError:
        """The refusal; unless the body has been read to its end the connection is of no use any more."""
        return HttpError(
            413,
            Code.RESOURCE_EXHAUSTED,
            f"The body is larger than {self.max_body_bytes} bytes, the limit that FAIRLEAD_MAX_BODY_BYTES sets",
            hint="send fewer rows in one request, or raise FAIRLEAD_MAX_BODY_BYTES",
            headers=() if is_read else _CLOSE,
        )

    async def _chunk(self) -> tuple[bytes, bool]:
        event = await self.receive()
        if event["type"] != "http.request":
            raise DisconnectedError
        return event["body"], event["more_body"]


class Dialect(Protocol):
    """One way to talk: how it answers, and what its errors look like."""

    async def answer(self, request: Request, call: Call, /) -> Response:
        """Answer `request`, noting in `call` what it turns out to be about.

        Raises:
            FairleadError: shown to the client by `refuse`.
        """

    def refuse(self, error: FairleadError) -> Response:
        """The error in this dialect's shape."""
