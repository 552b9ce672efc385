"""Whether the process lives, has started, and may take traffic."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from fairlead.errors import FairleadError
from fairlead.transport.message import Call, Request, Response
from fairlead.transport.ports import Catalogue
from fairlead.transport.refusal import refusal

__all__ = ["Health"]

_UNAVAILABLE = 503


class Health:
    """The probes. They answer whatever the method, and never wait for a model."""

    LIVE: ClassVar = frozenset({"/health/live", "/alive", "/"})  # KServe's client asks at the root
    PATHS: ClassVar = LIVE | {"/health", "/health/ready", "/health/startup"}

    def __init__(self, catalogue: Catalogue, is_draining: Callable[[], bool]) -> None:
        self._catalogue = catalogue
        self._is_draining = is_draining

    async def answer(self, request: Request, _call: Call) -> Response:
        if request.path in self.LIVE:
            return Response.of({"status": "alive"})
        return self._startup() if request.path == "/health/startup" else self._ready()

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)

    def _startup(self) -> Response:
        is_started = self._catalogue.readiness().is_started
        return Response.of(
            {"status": "started" if is_started else "starting"}, status=200 if is_started else _UNAVAILABLE
        )

    def _ready(self) -> Response:
        readiness = self._catalogue.readiness()
        is_draining = self._is_draining()
        is_ready = readiness.is_ready and not is_draining
        return Response.of(
            {
                "status": "ready" if is_ready else "draining" if is_draining else "not ready",
                "models": dict(readiness.models),
                "missing": readiness.missing,
                "degraded": readiness.degraded,
            },
            status=200 if is_ready else _UNAVAILABLE,
        )
