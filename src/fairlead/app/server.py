"""What `fairlead serve` runs: the parent process, which owns the ports and watches the workers."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fairlead.app.access import check_access, open_management_doorkeeper
from fairlead.app.console.door import open_door
from fairlead.app.console.line import console_note, open_console
from fairlead.app.log_files import keep_sweeping, open_log_files
from fairlead.app.management import Management
from fairlead.app.metering import keep_exchanging, keep_quotas, open_totals
from fairlead.app.metrics import ServiceMetrics
from fairlead.app.mirroring import begin_mirroring, keep_mirroring, on_this_host
from fairlead.app.recorder_line import RecorderClient, keep_recorder
from fairlead.app.supervision.supervisor import Supervisor
from fairlead.app.tls import has_tls, keep_watching, open_tls, tls_files
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.metering.exchange import Totals
from fairlead.metering.ledger import Ledger
from fairlead.monitoring.spool_home import Claim, claim
from fairlead.serving.status import Readiness
from fairlead.telemetry.region import Memory
from fairlead.transport.listener import open_socket
from fairlead.transport.server import HttpServer

if TYPE_CHECKING:
    from fairlead.store.mirror import Mirror

__all__ = ["Addresses", "serve"]

_LAST_ANSWERS_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the server is reached from this machine: URLs for REST and management, host and port for gRPC.

    `console` says where the console is and who may sign in, for people; empty where there is none.
    """

    rest: str
    grpc: str
    management: str
    console: str = ""


def serve(
    settings: Settings,
    *,
    on_listening: Callable[[Addresses], None],
    on_ready: Callable[[Addresses, Readiness], None],
) -> None:
    """Serve the store until a signal ends it. The ports are open before any model is loaded.

    SIGTERM and SIGINT drain, a second one ends it at once; SIGHUP replaces the workers one by one.

    Args:
        settings: what was asked for.
        on_listening: told the server's addresses once its ports are open.
        on_ready: told the addresses once every required model answers, with what is served.

    Raises:
        FairleadError: when the store is none, keys or ports cannot be had, a port would be open to others, or no worker
            comes up.
    """
    check_access(settings)
    totals = open_totals(settings)
    if (files := tls_files(settings)) is not None:
        files.load("http/1.1")
    mirror = begin_mirroring(settings)
    sockets = {
        "rest": open_socket(settings.host, settings.rest_port),
        "grpc": open_socket(settings.host, settings.grpc_port, "--grpc-port"),
    }
    management = open_socket(settings.management_host, settings.management_port, "--management-port")
    rest, grpc = (_address(settings.host, sock) for sock in sockets.values())
    managed = _address(settings.management_host, management)
    addresses = Addresses(
        rest=f"{_scheme(settings, 'rest')}://{rest}",
        grpc=grpc,
        management=f"{_scheme(settings, 'management')}://{managed}",
    )
    on_listening(addresses)
    asyncio.run(_serve(settings, sockets, management, addresses, on_ready, mirror=mirror, totals=totals))


async def _serve(
    settings: Settings,
    sockets: Mapping[str, socket.socket],
    management: socket.socket,
    addresses: Addresses,
    on_ready: Callable[[Addresses, Readiness], None],
    *,
    mirror: Mirror | None,
    totals: Totals | None,
) -> None:
    regions = 1 + 2 * settings.worker_count + 1  # a worker and the one that follows it count at once; the recorder too
    memory = Memory.make(regions)
    metrics = ServiceMetrics(memory.pieces, home=0)
    open_log_files(settings, metrics.app_log.failures.inc)
    spools = _claim_spools(settings)
    console_key = secrets.token_urlsafe(32)
    doors = _open_doors(settings)
    console = open_console(
        settings,
        rest=addresses.rest,
        management=addresses.management,
        key=console_key,
        doors={port: door for port, (_, door) in doors.items()},
    )
    if console is not None:
        addresses = replace(addresses, console=console_note(settings, addresses.management))
    local = on_this_host(settings)
    ledger = Ledger.make()
    supervisor = Supervisor(
        local,
        {**sockets, **({"door": doors["rest"][0]} if "rest" in doors else {})},
        memory=memory,
        metrics=metrics,
        ledger=ledger,
        on_ready=lambda readiness: on_ready(addresses, readiness),
        spools=spools,
        console_key=console_key if console else "",
    )
    recorder = None
    if spools:
        recorder = keep_recorder(local, spools, memory.descriptor, regions, on_end=metrics.instruments.abandon)
        recorder.start()
    pages = Management(
        supervisor,
        metrics.instruments,
        {"home": settings.home, "store": settings.store_path},
        RecorderClient(spools.directory) if spools else None,
        console,
        doorkeeper=open_management_doorkeeper(settings, console_key if console else ""),
    )
    tls = open_tls(settings, "management", metrics.tls.failed.inc)
    servers = [HttpServer(pages, management, tls=tls, drain_timeout_s=_LAST_ANSWERS_S, quiet_s=0.0)]
    if "management" in doors:
        servers.append(HttpServer(pages, doors["management"][0], drain_timeout_s=_LAST_ANSWERS_S, quiet_s=0.0))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, supervisor.stop)
    loop.add_signal_handler(signal.SIGINT, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, supervisor.replace)
    managing = [loop.create_task(server.serve()) for server in servers]
    beside = [
        loop.create_task(keep_sweeping(settings)),
        loop.create_task(keep_watching(settings, metrics.tls)),
        loop.create_task(keep_quotas(settings)),
        loop.create_task(keep_exchanging(ledger, totals, metrics.exchange)),
        loop.create_task(keep_mirroring(mirror, metrics.store)),
    ]
    try:
        await supervisor.run()
    finally:
        for task in beside:
            task.cancel()
        if console:
            await console.stop()
        if recorder:
            await recorder.stop()
        for server in servers:
            server.drain()
        await asyncio.gather(*managing)


def _claim_spools(settings: Settings) -> Claim | None:
    """Where predictions are logged, if they are. Where nobody asked for a log, one that cannot be is only missed."""
    if settings.prediction_log == "on" and not settings.can_log:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            "predictions are to be logged, and the database's libraries are not installed",
            hint="pip install 'fairlead[control]'",
        )
    if not settings.logs_predictions:
        if settings.payload_log == "on":
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                "what is asked and answered is to be logged, and predictions are not",
                hint="FAIRLEAD_PREDICTION_LOG=on, which needs fairlead[control]",
            )
        return None
    try:
        return claim(settings.spool_path)
    except FairleadError as error:
        if settings.prediction_log == "on":
            raise
        _log.warning("predictions are not logged: %s", error)
        return None


def _open_doors(settings: Settings) -> dict[str, tuple[socket.socket, int]]:
    """Ways for the console to the ports that have TLS: whatever certificates are asked for there, it has none."""
    if not (settings.has_console and settings.can_console):
        return {}
    doors = {port: open_door(settings.home) for port in ("rest", "management") if has_tls(settings, port)}
    for listener, _ in doors.values():
        listener.setblocking(False)
    return doors


def _scheme(settings: Settings, port: str) -> str:
    return "https" if has_tls(settings, port) else "http"


def _address(host: str, sock: socket.socket) -> str:
    """Host and port that reach the socket from this machine."""
    shown = "127.0.0.1" if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - what it is shown as, not bound to
    return f"{f'[{shown}]' if ':' in shown else shown}:{sock.getsockname()[1]}"
