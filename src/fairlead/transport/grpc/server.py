"""The gRPC server: HTTP/2 over a socket of ours, with a way to leave that fails no call."""

from __future__ import annotations

import asyncio
import socket
import time

from fairlead.transport.acceptor import Acceptor, Alone, Siblings
from fairlead.transport.grpc.app import GrpcApp
from fairlead.transport.grpc.http2 import Http2Connection
from fairlead.transport.limits import Limits

__all__ = ["GrpcServer"]

_POLL_S = 0.05
_MOST_SWEEP_S = 0.5


class GrpcServer:
    """Serves `app` on `sock` until it is told to `drain`.

    The drain: no connection is accepted any more, and the clients of the open ones are asked to go elsewhere (GOAWAY);
    the server leaves when what they had begun is answered, at most `drain_timeout_s` later. A second call ends it at
    once.

    Args:
        app: what answers.
        sock: a listening socket, closed in this process when `serve` returns.
        limits: what a client may take.
        owns_port: False when another process accepts from the same socket, and will after this one has left: then the
            drain just stops accepting.
        siblings: those processes, for each to have its share.
        drain_timeout_s: the longest wait for open calls.
    """

    def __init__(
        self,
        app: GrpcApp,
        sock: socket.socket,
        *,
        limits: Limits | None = None,
        owns_port: bool = True,
        siblings: Siblings | None = None,
        drain_timeout_s: float = 30.0,
    ) -> None:
        self._app = app
        self._limits = limits or Limits()
        self._drain_timeout_s = drain_timeout_s
        self._connections: set[Http2Connection] = set()
        self._acceptor = Acceptor(
            sock,
            self._connection,
            count=self._connections.__len__,
            siblings=siblings or Alone(),
            owns_port=owns_port,
        )
        self._leaving: asyncio.Task[None] | None = None
        self._end = asyncio.Event()

    async def serve(self) -> None:
        """Answer calls; return when the drain has ended and no connection is left."""
        loop = asyncio.get_running_loop()
        self._acceptor.start()
        sweeping = loop.create_task(self._sweep())
        try:
            await self._end.wait()
        finally:
            sweeping.cancel()
            self._acceptor.close()
            await self._abort_all()

    def drain(self) -> None:
        """Start to leave; called again, leave at once. Call it in the event loop."""
        if self._leaving is None:
            self._leaving = asyncio.get_running_loop().create_task(self._leave())
        else:
            self._end.set()

    def _connection(self) -> Http2Connection:
        return Http2Connection(self._app.accept, self._limits, self._connections)

    async def _sweep(self) -> None:
        """Cut the clients that take too long. One look at all now and then costs a call less than a timer would."""
        limits = self._limits
        pause = min(limits.header_timeout_s / 4, limits.body_timeout_s / 4, limits.linger_s / 4, _MOST_SWEEP_S)
        while True:
            await asyncio.sleep(pause)
            self._acceptor.tell()
            now = time.monotonic()
            for connection in [*self._connections]:
                connection.cut_overdue(now)

    # -- leaving ---------------------------------------------------------------------------------------------------

    async def _leave(self) -> None:
        await self._acceptor.stop()
        until = time.monotonic() + self._drain_timeout_s
        while self._connections and time.monotonic() < until:
            for connection in [*self._connections]:
                connection.leave()
            await asyncio.sleep(_POLL_S)
        self._end.set()

    async def _abort_all(self) -> None:
        for connection in [*self._connections]:
            connection.abort()
        while self._connections:  # noqa: ASYNC110 - their ends are due in the next turn of the loop
            await asyncio.sleep(0)
