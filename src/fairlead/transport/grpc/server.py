"""The gRPC server: HTTP/2 over a socket of ours, with a way to leave that fails no call."""

from __future__ import annotations

import socket

from fairlead.transport.acceptor import Siblings, Tls
from fairlead.transport.grpc.app import GrpcApp
from fairlead.transport.grpc.http2 import Http2Connection
from fairlead.transport.limits import Limits
from fairlead.transport.port_server import PortServer

__all__ = ["GrpcServer"]


class GrpcServer(PortServer[Http2Connection]):
    """Serves `app`. In a drain clients are asked to go elsewhere (GOAWAY), and what they had begun is answered.

    Args:
        app: what answers.
        sock, limits, owns_port, siblings, tls, drain_timeout_s: see `PortServer`.
    """

    def __init__(
        self,
        app: GrpcApp,
        sock: socket.socket,
        *,
        limits: Limits | None = None,
        owns_port: bool = True,
        siblings: Siblings | None = None,
        tls: Tls | None = None,
        drain_timeout_s: float = 30.0,
    ) -> None:
        super().__init__(
            sock, limits=limits, owns_port=owns_port, siblings=siblings, tls=tls, drain_timeout_s=drain_timeout_s
        )
        self._app = app

    def connect(self) -> Http2Connection:
        return Http2Connection(self._app.accept, self.limits, self.connections)

    def begin_drain(self) -> None:
        self._app.draining = True

    def part(self, connection: Http2Connection, since_s: float) -> None:  # noqa: ARG002 - it knows when
        connection.leave()
