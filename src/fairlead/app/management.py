"""The management port: what all workers together are and have counted. The parent answers, so it is always answered."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.scope import Scope
from fairlead.app.console.line import CONSOLE_PATH, MAX_BODY_BYTES, Console
from fairlead.app.recorder_line import RecorderClient
from fairlead.app.supervision.state import State
from fairlead.app.supervision.supervisor import Supervisor
from fairlead.errors import Code, FairleadError
from fairlead.telemetry.exposition import Exposition
from fairlead.telemetry.instruments import Instruments
from fairlead.transport.codes import HttpError
from fairlead.transport.credential import admit
from fairlead.transport.message import Request, Response
from fairlead.transport.refusal import refusal

__all__ = ["Management"]

_MAX_BODY_BYTES = 1024
_MISDIRECTED, _UNAVAILABLE = 421, 503
_METRICS, _QUALITY = "/metrics", "/quality/"
_PROBES = frozenset({"/alive", "/health", "/health/live", "/health/startup", "/health/ready"})
_log = logging.getLogger(__name__)


class Management:
    """The pages of the management port, as an application for `HttpServer`.

    Args:
        supervisor: knows how every worker is.
        instruments: what all processes count.
        disks: paths whose file systems the metrics show, by what is kept there.
        recorder: tells how good the models are; None where predictions are not logged.
        console: answers for its own pages, and has its own login; None where there is none.
        doorkeeper: says who may see what is neither; None when everybody may.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        instruments: Instruments,
        disks: Mapping[str, Path],
        recorder: RecorderClient | None = None,
        console: Console | None = None,
        *,
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        self._disks = disks
        self._console = console
        self._doorkeeper = doorkeeper
        self._recorder = recorder
        self.draining = False
        self.max_body_bytes = MAX_BODY_BYTES if console else _MAX_BODY_BYTES
        self._supervisor = supervisor
        self._instruments = instruments
        self._pages = {
            "/alive": _alive,
            "/health": self._ready,
            "/health/live": _alive,
            "/health/startup": self._startup,
            "/health/ready": self._ready,
            "/workers": self._list,
        }

    async def answer(self, request: Request) -> Response:
        try:
            if not self._is_open(request.path):
                self._let_in(request)
            if request.path.startswith(_QUALITY):
                return await asyncio.create_task(self._quality(request.path.removeprefix(_QUALITY)))
            if request.path == _METRICS:
                return await asyncio.create_task(self._metrics(Exposition.asked_for(request.header(b"accept"))))
            if self._console is not None and _is_console(request.path):
                return await asyncio.create_task(self._console.forward(request))
            return self._answer(request)
        except FairleadError as error:
            return refusal(error)
        except Exception:  # noqa: BLE001 - the outermost handler: a bug must not end the connection
            _log.exception("%s %s broke", request.method, request.path[:200])
            return refusal(FairleadError(Code.INTERNAL, "Internal error", hint="the server's log says more"))

    def _is_open(self, path: str) -> bool:
        """Whether `path` asks for no credential here: probes have none, and the console asks for its own."""
        is_console = self._console is not None and (path == "/" or _is_console(path))
        return path in _PROBES or is_console

    def _let_in(self, request: Request) -> None:
        """Raise what keeps the request out, if anything does.

        Where no credential is asked for, the address is this machine's own, and so the name must be: a page of another
        site could else read what is here, once its own name leads to this machine (DNS rebinding).
        """
        if self._doorkeeper is not None:
            admit(self._doorkeeper, request, Scope.METRICS)
        elif not _is_own_name(request.header(b"host").decode("latin-1")):
            raise HttpError(
                _MISDIRECTED,
                Code.PERMISSION_DENIED,
                "This port is not known by that name",
                hint="ask for localhost or 127.0.0.1; with METRICS_KEY in the environment any name will do",
            )

    def refuse(self, _request: Request, error: FairleadError) -> Response:
        return refusal(error)

    def _answer(self, request: Request) -> Response:
        if request.path == "/" and self._console is not None:
            return Response(status=302, headers=((b"location", f"{CONSOLE_PATH}/".encode()),))
        page = self._pages.get(request.path)
        if page is None:
            raise FairleadError(
                Code.NOT_FOUND,
                f"Nothing is managed at {request.path[:200]}",
                hint=f"try {', '.join([*self._pages, _METRICS, _QUALITY + 'MODEL'])}",
            )
        return page()

    async def _quality(self, model: str) -> Response:
        if self._recorder is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                "predictions are not logged here, so nothing is known of their quality",
                hint="fairlead serve --prediction-log on",
            )
        return Response.of({"model": model, "versions": await self._recorder.quality(unquote(model))})

    def _startup(self) -> Response:
        is_started = any(worker.is_started for worker in self._supervisor.states())
        return _page({"status": "started" if is_started else "starting"}, is_good=is_started)

    def _ready(self) -> Response:
        """Ready as soon as one worker is, for the others are not asked; and why each of those is not."""
        workers, is_leaving = self._supervisor.states(), self._supervisor.is_leaving
        is_ready = any(worker.state is State.READY for worker in workers) and not is_leaving
        return _page(
            {
                "status": "ready" if is_ready else "draining" if is_leaving else "not ready",
                "ready": sum(worker.state is State.READY for worker in workers),
                "not_ready": [str(worker) for worker in workers if worker.state is not State.READY],
            },
            is_good=is_ready,
        )

    async def _metrics(self, page: Exposition) -> Response:
        """In a thread: a disk that hangs, hangs the scrape and nothing else."""
        body = await asyncio.to_thread(page.write, self._instruments, self._disks)
        return Response(body=body, content_type=page.content_type)

    def _list(self) -> Response:
        return Response.of({"workers": [dataclasses.asdict(worker) for worker in self._supervisor.states()]})


def _is_console(path: str) -> bool:
    return path == CONSOLE_PATH or path.startswith(f"{CONSOLE_PATH}/")


def _alive() -> Response:
    return Response.of({"status": "alive"})


def _page(value: Mapping[str, Any], *, is_good: bool) -> Response:
    return Response.of(value, status=200 if is_good else _UNAVAILABLE)


def _is_own_name(host: str) -> bool:
    """Whether a Host header names this machine by an address or as localhost, which no site can make its own."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        ipaddress.ip_address(name)
    except ValueError:  # no address, or no name at all
        return re.fullmatch(r"(.+\.)?localhost(:\d+)?", host) is not None
    return True
