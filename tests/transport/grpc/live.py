"""A gRPC server on a real socket, in a thread of its own."""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import uvloop
from tests.transport.fakes import FakeCatalogue, FakePredictor

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.telemetry.instruments import Instruments
from fairlead.transport.acceptor import Tls
from fairlead.transport.grpc.app import GrpcApp
from fairlead.transport.grpc.server import GrpcServer
from fairlead.transport.limits import Limits
from fairlead.transport.listener import open_socket
from fairlead.transport.metrics import TransportMetrics
from fairlead.transport.ports import ConfigControl, ModelControl

TIMEOUT_S = 20.0
LIMIT = 200_000
"""The largest message of the server under test."""


class Running:
    """A server over the fakes."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        drain_timeout_s: float = TIMEOUT_S,
        owns_port: bool = True,
        message_limit: int = LIMIT,
        control: ModelControl | None = None,
        config_control: ConfigControl | None = None,
        doorkeeper: Doorkeeper | None = None,
        tls: Tls | None = None,
        run: Callable[[Coroutine[Any, Any, None]], None] = uvloop.run,
    ) -> None:
        self.run = run
        self.catalogue = FakeCatalogue()
        self.predictor = FakePredictor(self.catalogue)
        self.metrics = TransportMetrics(Instruments())
        self.app = GrpcApp(
            self.predictor,
            self.catalogue,
            self.metrics,
            self.predictor.statistics,
            control,
            max_message_bytes=message_limit,
            config_control=config_control,
            doorkeeper=doorkeeper,
        )
        self.sock = self.open()
        self.port: int = self.sock.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.server = GrpcServer(
            self.app, self.sock, limits=limits, drain_timeout_s=drain_timeout_s, owns_port=owns_port, tls=tls
        )
        loops: Future[asyncio.AbstractEventLoop] = Future()
        self.thread = threading.Thread(target=lambda: run(self._serve(loops)))
        self.thread.start()
        self.loop = loops.result(TIMEOUT_S)

    async def _serve(self, loops: "Future[asyncio.AbstractEventLoop]") -> None:
        loops.set_result(asyncio.get_running_loop())
        await self.server.serve()

    def open(self) -> socket.socket:
        """What it listens on."""
        return open_socket("127.0.0.1", 0)

    def drain(self) -> None:
        """Start the drain; again, end it."""
        self.loop.call_soon_threadsafe(self.server.drain)

    def stop(self) -> None:
        """End the server, whatever it is doing."""
        if self.thread.is_alive():
            self.drain()
            self.drain()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()

    def hold(self) -> asyncio.Event:
        """From now on answers wait for this event."""
        self.predictor.pause = asyncio.Event()
        return self.predictor.pause

    def release(self, held: asyncio.Event) -> None:
        """Let the answers go that wait for `held`."""
        self.loop.call_soon_threadsafe(held.set)

    def connections(self) -> int:
        """How many are open."""
        return len(self.server.connections)
