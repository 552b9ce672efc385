"""What a replica of Ray Serve runs: the REST port's application, asked by Ray's proxies in place of connections."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fairlead.app.access import open_doorkeeper
from fairlead.app.data_plane import open_predictor
from fairlead.app.metrics import ServiceMetrics
from fairlead.app.models import check_models, open_manager
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Meter
from fairlead.telemetry.region import Memory
from fairlead.transport.http import HttpApp
from fairlead.transport.message import Head, Request

if TYPE_CHECKING:
    from starlette.requests import Request as RayRequest
    from starlette.responses import Response as RayResponse

__all__ = ["Replica"]

_POLL_S = 0.02
_LOAD_S = 600.0


class Replica:
    """Answers what the REST port answers. It follows the store's releases by itself.

    Args:
        told: the settings, as flags.
        asks_keys: whether credentials have to be asked for.

    Raises:
        FairleadError: the reason why it cannot serve, once the first attempts to load are over.
    """

    def __init__(self, told: Mapping[str, str], *, asks_keys: bool) -> None:
        settings = Settings.read({}, **told)
        check_models(settings)
        meter = Meter(Ledger.make())
        doorkeeper = open_doorkeeper(settings, "", meter=meter)
        if asks_keys and doorkeeper is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"a replica finds no key, neither in its environment nor in {settings.keys_path}",
                hint="keep the home where every node sees it, or set API_KEY where `ray start` runs",
            )
        metrics = ServiceMetrics(Memory.make(1).pieces, home=0)
        self._manager = open_manager(settings, metrics.load, metrics.graphs)
        self._manager.start()
        self._predictor = open_predictor(settings, self._manager, metrics, meter)
        self._wait()
        self._app = HttpApp(
            self._predictor,
            self._manager,
            metrics.transport,
            metrics.statistics,
            max_body_bytes=settings.max_body_bytes,
            max_rows=settings.max_rows,
            sticky_header=settings.sticky_header,
            doorkeeper=doorkeeper,
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + _LOAD_S
        while not (readiness := self._manager.readiness()).is_started and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        if not readiness.is_ready:
            self.close()
            raise FairleadError(Code.FAILED_PRECONDITION, "; ".join(readiness.missing) or "no model was loaded in time")

    async def __call__(self, asked: RayRequest) -> RayResponse:
        """Answer a request that one of Ray's proxies took."""
        from starlette.responses import Response as RayResponse  # noqa: PLC0415 - an extra

        request = await self._read(asked)
        too_large = len(request.body) > request.max_body_bytes
        answer = self._app.refuse(request, request.too_large()) if too_large else await self._app.answer(request)
        response = RayResponse(answer.body, answer.status, media_type=answer.content_type.decode("latin-1"))
        response.raw_headers += list(answer.headers)
        return response

    async def _read(self, asked: RayRequest) -> Request:
        """The request as its client wrote it; of a body that is too large the beginning."""
        scope = asked.scope
        path, _, _ = scope.get("raw_path", scope["path"].encode()).partition(b"?")
        head = Head(
            method=scope["method"],
            path=path.decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=tuple((bytes(name).lower(), bytes(value)) for name, value in scope["headers"]),
        )
        arrived, body = time.monotonic(), bytearray()
        async for piece in asked.stream():
            body += piece
            if len(body) > self._app.max_body_bytes:
                break
        return Request(head, bytes(body), arrived=arrived, max_body_bytes=self._app.max_body_bytes)

    def check_health(self) -> None:
        """Called by Ray now and then: a replica that no longer answers for its models is replaced.

        Raises:
            FairleadError: saying which.
        """
        readiness = self._manager.readiness()
        if not readiness.is_ready:
            raise FairleadError(Code.UNAVAILABLE, "; ".join(readiness.missing))

    def close(self) -> None:
        """Let go of the models."""
        self._predictor.close()
        self._manager.stop()

    def __del__(self) -> None:
        """Called by Ray when the replica has been drained."""
        if hasattr(self, "_app"):
            self.close()
