"""The HTTP server: connections over a socket of ours, with a way to leave that fails no request."""

from __future__ import annotations

import socket

from fairlead.transport.acceptor import Siblings, Tls
from fairlead.transport.connection import App, HttpConnection
from fairlead.transport.limits import Limits
from fairlead.transport.port_server import PortServer

__all__ = ["QUIET_S", "HttpServer"]

QUIET_S = 2.0
"""How long a kept-alive connection may stay silent during a drain: its client may be about to write a request."""


class HttpServer(PortServer[HttpConnection]):
    """Serves `app`. In a drain every answer asks for its connection to be closed.

    Args:
        app: what answers.
        sock, limits, owns_port, siblings, tls, drain_timeout_s: see `PortServer`.
        quiet_s: after this long in a drain, connections without a request are closed.
    """

    def __init__(
        self,
        app: App,
        sock: socket.socket,
        *,
        limits: Limits | None = None,
        owns_port: bool = True,
        siblings: Siblings | None = None,
        tls: Tls | None = None,
        drain_timeout_s: float = 30.0,
        quiet_s: float = QUIET_S,
    ) -> None:
        super().__init__(
            sock, limits=limits, owns_port=owns_port, siblings=siblings, tls=tls, drain_timeout_s=drain_timeout_s
        )
        self._app = app
        self._quiet_s = quiet_s

    def connect(self) -> HttpConnection:
        return HttpConnection(self._app, self.limits, self.connections)

    def begin_drain(self) -> None:
        self._app.draining = True

    def part(self, connection: HttpConnection, since_s: float) -> None:
        if since_s >= self._quiet_s and connection.is_silent:
            connection.close()
