"""The HTTP server: uvicorn over a socket of ours, with a way to leave that fails no request."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import time
from collections.abc import Callable
from types import FrameType
from typing import cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fairlead.transport.deadlines import DeadlineProtocol, cut_overdue
from fairlead.transport.http import HttpApp
from fairlead.transport.listener import BACKLOG, turn_away

__all__ = ["HttpServer"]

QUIET_S = 2.0
"""How long a kept-alive connection may stay silent during a drain: its client may be about to write a request."""

_POLL_S = 0.05
_KEEP_ALIVE_S = 75


class HttpServer:
    """Serves `app` on `sock` until SIGTERM, SIGINT or `drain`.

    The first signal starts the drain: readiness is withdrawn and every answer asks for its connection to be closed;
    after `drain_delay_s` no connection is accepted any more; the server leaves when the open ones are gone, at most
    `drain_timeout_s` later. A second signal ends it at once.

    Plain uvicorn closes idle connections on SIGTERM while their clients' next requests are on the wire, which loses
    about one request a connection.

    Args:
        app: what answers.
        sock: a listening socket, closed when `serve` returns.
        drain_delay_s: how long to accept on, so that a load balancer sees the readiness first.
        drain_timeout_s: the longest wait for open connections.
        quiet_s: after this long in a drain, connections without a request are closed.
        header_timeout_s: the longest that a client may take for a request's header.
        body_timeout_s: the longest that it may then take for the body.
    """

    def __init__(
        self,
        app: HttpApp,
        sock: socket.socket,
        *,
        drain_delay_s: float = 0.0,
        drain_timeout_s: float = 30.0,
        quiet_s: float = QUIET_S,
        header_timeout_s: float = 10.0,
        body_timeout_s: float = 30.0,
    ) -> None:
        self._app = app
        self._sock = sock
        self._drain_delay_s = drain_delay_s
        self._drain_timeout_s = drain_timeout_s
        self._quiet_s = quiet_s
        self._drain: asyncio.Task[None] | None = None
        self._cut_poll_s = min(header_timeout_s, body_timeout_s, 2.0) / 4
        protocol = functools.partial(DeadlineProtocol, header_timeout_s=header_timeout_s, body_timeout_s=body_timeout_s)
        self._uvicorn = _Uvicorn(_config(app, protocol), protocol, self._on_signal)

    async def serve(self) -> None:
        """Answer requests; return when the drain has ended. Signals are taken over in the main thread."""
        self._loop = asyncio.get_running_loop()
        cutting = self._loop.create_task(cut_overdue(self._uvicorn.server_state.connections, self._cut_poll_s))
        try:
            await self._uvicorn.serve(sockets=[self._sock])
        finally:
            cutting.cancel()

    def drain(self) -> None:
        """Start to leave; called again, leave at once. Call it in the event loop."""
        if self._drain is None:
            self._app.draining = True
            self._drain = self._loop.create_task(self._leave())
        else:
            self._uvicorn.force_exit = self._uvicorn.should_exit = True

    def _on_signal(self) -> None:
        self._loop.call_soon_threadsafe(self.drain)

    async def _leave(self) -> None:
        await asyncio.sleep(self._drain_delay_s)
        await self._stop_accepting()
        await self._wait_for_connections()
        self._uvicorn.should_exit = True

    async def _wait_for_connections(self) -> None:
        started = time.monotonic()
        while time.monotonic() < started + self._drain_timeout_s:
            await asyncio.sleep(_POLL_S)  # first, for those accepted a moment ago to be counted
            if not self._uvicorn.server_state.connections:
                break
            if time.monotonic() >= started + self._quiet_s:
                self._close_silent()

    async def _stop_accepting(self) -> None:
        """Close the port, and serve those who wait behind it: closing would reset their connections."""
        turn_away(self._sock)
        await asyncio.sleep(_POLL_S)  # for handshakes that had begun
        waiting = _accept_all(self._sock)
        for server in self._uvicorn.servers:
            server.close()
        await asyncio.gather(
            *(self._loop.connect_accepted_socket(self._uvicorn.new_protocol, connection) for connection in waiting)
        )

    def _close_silent(self) -> None:
        for connection in list(self._uvicorn.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and _is_silent(connection):
                connection.transport.close()


class _Uvicorn(uvicorn.Server):
    """Hands signals on instead of stopping, and does not raise them again when it ends: a drain exits with 0."""

    def __init__(
        self, config: uvicorn.Config, protocol: Callable[..., DeadlineProtocol], on_signal: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._protocol = protocol
        self.servers = []  # a signal may come before uvicorn fills it
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        self._on_signal()

    def new_protocol(self) -> DeadlineProtocol:
        """What speaks HTTP on one connection."""
        return self._protocol(self.config, self.server_state, app_state={})


def _accept_all(sock: socket.socket) -> list[socket.socket]:
    accepted: list[socket.socket] = []
    with contextlib.suppress(OSError):  # nobody waits, or the process may open no more files
        while True:
            accepted.append(sock.accept()[0])
    return accepted


def _is_silent(connection: HttpToolsProtocol) -> bool:
    """Whether nothing is being answered. uvicorn sets `cycle` to None before the first request, whatever it says."""
    cycle = getattr(connection, "cycle", None)
    return cycle is None or cycle.response_complete


def _config(app: HttpApp, protocol: Callable[..., DeadlineProtocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=cast("type[asyncio.Protocol]", protocol),  # it is called, and nothing else
        ws="none",
        lifespan="off",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # a wrapper around every request for an address that nobody here asks for
        date_header=True,
        backlog=BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=1,  # the drain has waited already
        log_config=None,
    )
