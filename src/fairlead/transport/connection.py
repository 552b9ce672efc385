"""One client's connection: its requests are answered one after the other, in the order in which they came."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from fairlead.errors import Code, FairleadError
from fairlead.transport.answering import Answering
from fairlead.transport.codes import HttpError
from fairlead.transport.limits import Limits
from fairlead.transport.message import Request, Response
from fairlead.transport.reader import MOST_WAITING, RequestReader
from fairlead.transport.refusal import refusal
from fairlead.transport.writer import CONTINUE, encode_response

__all__ = ["App", "HttpConnection"]

_MOST_REFUSED = 256
"""How many connections over the limit are told so at once; further ones are closed without a word."""


class App(Protocol):
    """What answers requests.

    Attributes:
        draining: whether every answer must be the last on its connection.
        max_body_bytes: the largest body that is read.
    """

    draining: bool
    max_body_bytes: int

    async def answer(self, request: Request, /) -> Response:
        """The answer. Cancelled when the client goes away; it raises nothing else."""

    def refuse(self, request: Request, error: FairleadError, /) -> Response:
        """The answer to a request that could not be read to its end."""


class HttpConnection:
    """Reads requests, has each answered, writes the answers. To the event loop it is an `asyncio.Protocol`.

    Args:
        app: what answers.
        limits: what the client may take.
        connections: all that are open; this one is in it as long as it is.
    """

    def __init__(self, app: App, limits: Limits, connections: set[HttpConnection]) -> None:
        self._app = app
        self._limits = limits
        self._connections = connections
        self._reader = RequestReader(app.max_body_bytes)
        self._answering: Answering | None = None
        self._idle_since = time.monotonic()
        self._unread_since: float | None = None
        self._left_at: float | None = None

    # -- called by the event loop ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        transport.set_write_buffer_limits(high=1)  # so that `pause_writing` means that the client does not read
        excess = len(self._connections) - self._limits.connections
        if excess >= _MOST_REFUSED:
            transport.abort()
            return
        self._connections.add(self)
        if excess >= 0:
            self._turn_down()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the event loop's signature
        self._connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()
        abandoned = [*self._reader.requests]
        self._reader.requests.clear()
        if self._reader.is_in_body:
            abandoned.append(self._reader.unfinished())
        self._reader.stop()
        for request in abandoned:
            self._app.refuse(request, FairleadError(Code.CANCELLED, "the client left"))

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        if reader.is_full:
            self._transport.pause_reading()
        if self._answering is None:
            self._next()

    def eof_received(self) -> None:
        """Nothing more comes: the event loop closes the transport."""

    def pause_writing(self) -> None:
        self._unread_since = time.monotonic()

    def resume_writing(self) -> None:
        self._unread_since = None
        if self._left_at is not None:
            self._left_at = time.monotonic()
        elif self._answering is None:
            self._next()

    # -- called by the server --------------------------------------------------------------------------------------

    @property
    def is_silent(self) -> bool:
        """Whether the client neither sends, nor waits for, nor reads anything."""
        is_idle = self._answering is None and not self._reader.requests and self._reader.began is None
        return is_idle and self._unread_since is None and self._left_at is None

    def close(self) -> None:
        """End it, once what was written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()

    def cut_overdue(self, now: float) -> None:
        """End it if the client takes too long, at the monotonic second `now`."""
        limits, reader = self._limits, self._reader
        if self._unread_since is not None:
            due = self._unread_since + limits.write_timeout_s
        elif self._left_at is not None:
            due = self._left_at + limits.linger_s
        elif reader.began is not None:
            due = reader.began + (limits.body_timeout_s if reader.is_in_body else limits.header_timeout_s)
        elif self._answering is None:
            due = self._idle_since + limits.idle_timeout_s
        else:
            return
        if now > due:
            self._cut()

    def _cut(self) -> None:
        """Close it; a client that is in a body may have meant well, and is told."""
        if not self._reader.is_in_body or self._unread_since is not None:
            self._transport.abort()
            return
        message = f"The body was not complete after {self._limits.body_timeout_s:g} s"
        self._reader.fail(HttpError(408, Code.DEADLINE_EXCEEDED, message, hint="send it faster, or in parts"))
        if self._answering is None:
            self._next()

    # -- answering -------------------------------------------------------------------------------------------------

    def _next(self) -> None:
        """Take up what is next, when nothing is being answered; between many in one go others have their turn."""
        for _ in range(MOST_WAITING):
            if self._unread_since is not None or self._left_at is not None or self._answering is not None:
                return
            if not self._reader.requests:
                self._see_to_reader()
                return
            request = self._reader.requests.popleft()
            if self._reader.is_full:
                self._read_on()
            self._answering = Answering(self._answer(request), self._next)
            if not self._answering.begin():
                return
        self._loop.call_soon(self._next)

    def _see_to_reader(self) -> None:
        """Say what the client waits to hear before it sends more, or that it has sent what it should not."""
        reader = self._reader
        if reader.fault is not None:
            request, error = reader.fault
            self._send(request, self._app.refuse(request, error), is_last=True)
        elif reader.owes_continue:
            reader.owes_continue = False
            self._transport.write(CONTINUE)

    def _read_on(self) -> None:
        self._reader.read_on()
        if not self._reader.is_full:
            self._transport.resume_reading()

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._app.answer(request)
        except BaseException:
            self._transport.abort()  # the answers behind this one would be taken for it
            raise
        self._answering = None
        self._send(request, response, is_last=not request.head.keep_alive or self._app.draining)

    def _send(self, request: Request | None, response: Response, *, is_last: bool) -> None:
        if self._transport.is_closing():
            return
        self._idle_since = time.monotonic()
        self._transport.write(encode_response(response, request, is_last=is_last))
        if is_last:
            self._leave()

    def _leave(self) -> None:
        """Say that nothing more comes, and let the client read in peace; what it still sends is thrown away."""
        self._left_at = time.monotonic()
        self._reader.requests.clear()
        self._reader.stop()
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._transport.resume_reading()
        else:  # TLS ends in both directions at once, and throws away by itself what still comes
            self._transport.close()

    def _turn_down(self) -> None:
        limit = self._limits.connections
        error = FairleadError(
            Code.UNAVAILABLE,
            f"{limit} connections are open, the most this process holds",
            hint="close some, or raise FAIRLEAD_MAX_CONNECTIONS",
        )
        self._send(None, refusal(error), is_last=True)
