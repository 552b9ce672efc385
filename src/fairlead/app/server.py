"""What `fairlead serve` runs: the data plane, put together."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import uvloop

from fairlead.app.models import open_manager
from fairlead.app.releases import open_store
from fairlead.config import Settings
from fairlead.serving.manager import Manager
from fairlead.serving.predictor import Predictor
from fairlead.serving.status import Readiness
from fairlead.telemetry import BatchMetrics, LoadMetrics, process_registry
from fairlead.transport.grpc.app import GrpcApp
from fairlead.transport.grpc.server import GrpcServer
from fairlead.transport.http import HttpApp
from fairlead.transport.limits import Limits
from fairlead.transport.listener import allow_connections, open_socket
from fairlead.transport.metrics import TransportMetrics
from fairlead.transport.server import HttpServer

__all__ = ["Addresses", "serve"]

_READY_POLL_S = 0.02
_GC_ALLOCATIONS = 50_000
_SWITCH_S = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the server is reached from this machine: a URL for REST, host and port for gRPC."""

    rest: str
    grpc: str


def serve(
    settings: Settings,
    *,
    on_listening: Callable[[Addresses], None],
    on_ready: Callable[[Addresses, Readiness], None],
) -> None:
    """Serve the store until a signal ends it. The ports are open before any model is loaded.

    Args:
        settings: what was asked for.
        on_listening: told the server's addresses once it accepts connections.
        on_ready: told the addresses once every required model answers, with what is served.

    Raises:
        FairleadError: when the store is none, or a port cannot be had.
    """
    open_store(settings).check()
    sockets = {name: open_socket(settings.host, getattr(settings, f"{name}_port")) for name in ("rest", "grpc")}
    rest, grpc = (_address(settings.host, sock) for sock in sockets.values())
    addresses = Addresses(rest=f"http://{rest}", grpc=grpc)
    allow_connections(settings.max_connections)
    _tune_interpreter()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, sockets, addresses, on_listening, on_ready))


async def _serve(
    settings: Settings,
    sockets: Mapping[str, socket.socket],
    addresses: Addresses,
    on_listening: Callable[[Addresses], None],
    on_ready: Callable[[Addresses, Readiness], None],
) -> None:
    async with AsyncExitStack() as lifetimes:
        registry = process_registry()
        metrics = TransportMetrics(registry)
        manager = open_manager(settings, LoadMetrics(registry), lambda id_: metrics.retire(id_.model, id_.version))
        manager.start()
        lifetimes.callback(manager.stop)
        predictor = Predictor(
            manager,
            BatchMetrics(registry),
            threads=settings.thread_count,
            max_in_flight=settings.max_in_flight,
            max_batch_rows=settings.max_batch_rows,
            max_batch_delay_s=settings.max_batch_delay_s,
            max_queue_s=settings.max_queue_s,
        )
        lifetimes.callback(predictor.close)
        app = HttpApp(predictor, manager, metrics, max_body_bytes=settings.max_body_bytes)
        limits = _limits(settings)
        server = HttpServer(
            app,
            sockets["rest"],
            limits=limits,
            drain_delay_s=settings.drain_delay_s,
            drain_timeout_s=settings.drain_timeout_s,
        )
        grpc_server = GrpcServer(
            GrpcApp(predictor, manager, metrics, max_message_bytes=settings.max_body_bytes),
            sockets["grpc"],
            limits=limits,
            drain_delay_s=settings.drain_delay_s,
            drain_timeout_s=settings.drain_timeout_s,
        )

        def drain() -> None:
            server.drain()
            grpc_server.drain()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, drain)
        announcing = asyncio.create_task(_announce(manager, addresses, on_ready))
        lifetimes.callback(announcing.cancel)
        on_listening(addresses)
        await asyncio.gather(server.serve(), grpc_server.serve())


def _limits(settings: Settings) -> Limits:
    return Limits(
        connections=settings.max_connections,
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
    )


def _tune_interpreter() -> None:
    """Set Python up for one purpose: many short requests beside threads that run models.

    A JSON body that is read the careful way makes hundreds of lists that die with the request, and reference counts
    free them: the collector would run many times a second for nothing (a quarter of the time when all bodies were read
    so). And a model's thread that waits to report its answer would get its turn after 5 ms, fifty times as long as the
    model took.
    """
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS, 20, 20)
    sys.setswitchinterval(_SWITCH_S)


async def _announce(manager: Manager, addresses: Addresses, on_ready: Callable[[Addresses, Readiness], None]) -> None:
    while not (readiness := manager.readiness()).is_ready:  # noqa: ASYNC110 - the manager is no part of the event loop
        await asyncio.sleep(_READY_POLL_S)
    on_ready(addresses, readiness)


def _address(host: str, sock: socket.socket) -> str:
    """Host and port that reach the socket from this machine."""
    shown = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - what it is shown as, not bound to
    return f"{f'[{shown}]' if ':' in shown else shown}:{sock.getsockname()[1]}"
