"""One client's HTTP/2 connection: its bytes, its deadlines, and its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fairlead.transport.grpc.frames import Http2Error
from fairlead.transport.grpc.patience import Patience
from fairlead.transport.grpc.reader import FrameReader
from fairlead.transport.grpc.session import GREETING, Session
from fairlead.transport.grpc.stream import Exchange, Stream
from fairlead.transport.limits import Limits

__all__ = ["Http2Connection"]

_WRITE_BUFFER = 1024 * 1024
_LEAVE_S = 1.0
"""How long a client that was asked to go may take to say that it has read so."""


class Http2Connection:
    """Reads frames into a session, and sends what the session has to say: all of one turn of the event loop at once.

    To the event loop it is an `asyncio.Protocol`.

    Args:
        accept: told of every request; gives what its body and its end are told to.
        limits: what the client may take.
        connections: all that are open; this one is in it as long as it is.
    """

    def __init__(self, accept: Callable[[Stream], Exchange], limits: Limits, connections: set[Http2Connection]) -> None:
        self._limits = limits
        self._connections = connections
        patience = Patience()
        self._began = time.monotonic()
        self._reader = FrameReader(
            patience,
            now=self._began,
            header_timeout_s=limits.header_timeout_s,
            body_timeout_s=limits.body_timeout_s,
        )
        self._session = Session(accept, self, limits, patience)
        self._out: list[bytes] = []
        self._is_ending = False
        self._unread_since: float | None = None
        self._left_at: float | None = None

    # -- called by the event loop ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        if len(self._connections) >= self._limits.connections:
            self.abort()
            return
        transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        self._connections.add(self)
        self.emit(GREETING)

    def data_received(self, data: bytes) -> None:
        if self._is_ending:
            return
        take = self._session.take
        try:
            for frame in self._reader.feed(data, time.monotonic()):
                take(*frame)
                if self._is_ending:
                    return
        except Http2Error as error:
            self.fail(error)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the event loop's signature
        self._is_ending = True
        self._connections.discard(self)
        self._out.clear()
        self._session.cancel_all()

    def eof_received(self) -> None:
        """Nothing more comes: the event loop closes the transport."""

    def pause_writing(self) -> None:
        """What was sent is not read: take in nothing more that asks for an answer."""
        self._unread_since = time.monotonic()
        self._session.is_choked = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._unread_since = None
        self._session.is_choked = False
        self._transport.resume_reading()
        self._session.pump()

    # -- called by the server --------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Ask the client to go elsewhere, answer what it has begun, and end. Called again until it has ended.

        A client that has just come is not asked before its first request: grpcio 1.85, told to go while it makes a
        connection, can forget the call that the connection was for, which then waits for its deadline.
        """
        session, now, settled_at = self._session, time.monotonic(), self._began + self._limits.settle_s
        if not self._is_ending and not session.is_leaving and (session.was_used or now > settled_at):
            self._left_at = now
            session.leave()

    def abort(self) -> None:
        """End it now."""
        self._is_ending = True
        self._out.clear()
        self._transport.abort()

    def cut_overdue(self, now: float) -> None:
        """Give up what took the client too long, at the monotonic second `now`."""
        session, limits = self._session, self._limits
        if self._unread_since is not None and now > self._unread_since + limits.write_timeout_s:
            self.abort()
        elif self._is_ending:
            if self._left_at is not None and now > self._left_at + limits.linger_s:
                self.abort()
        elif self._reader.due is not None and now > self._reader.due:
            self.abort()
        else:
            session.cut_overdue(now)
            if session.is_leaving:
                if self._left_at is not None and now > self._left_at + _LEAVE_S:
                    session.say_last()
            elif session.is_idle and now > session.idle_since + limits.idle_timeout_s:
                self.leave()

    # -- called by the session (`session.Link`) --------------------------------------------------------------------

    def emit(self, data: bytes) -> None:
        if self._is_ending:
            return
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def fail(self, error: Http2Error) -> None:
        if not self._is_ending:
            self.emit(self._session.goaway(error))
            self.end()
            self._session.cancel_all()

    def end(self) -> None:
        """Send what is left and say that nothing more comes. What the client still sends is not read.

        Closing at once would reset the connection under the last frames.
        """
        if not self._is_ending:
            self._is_ending = True
            self._left_at = time.monotonic()
            self._flush()
            if self._transport.can_write_eof():
                self._transport.write_eof()
            else:  # TLS ends in both directions at once, and throws away by itself what still comes
                self._transport.close()

    def _flush(self) -> None:
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            self._transport.write(data)
