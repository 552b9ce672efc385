"""The application: which dialect answers, what is counted, and what happens when something breaks."""

from __future__ import annotations

import asyncio
import logging
import time

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.scope import Scope
from fairlead.errors import Code, FairleadError
from fairlead.serving.prediction_id import PredictionIds
from fairlead.serving.predictor import MAX_ROWS
from fairlead.serving.statistics import Statistics
from fairlead.telemetry.tracing import Tracer
from fairlead.transport.access_log import AccessLog
from fairlead.transport.codes import HTTP_STATUS
from fairlead.transport.credential import admit
from fairlead.transport.health import Health
from fairlead.transport.message import STICKY_HEADER, Call, Dialect, Request, Response
from fairlead.transport.metrics import MetricsPages, TransportMetrics
from fairlead.transport.openapi.pages import OpenApiPages
from fairlead.transport.ports import Catalogue, FeedbackTaker, ModelControl, Predicting
from fairlead.transport.refusal import refusal
from fairlead.transport.simple.dialect import Simple
from fairlead.transport.simple.feedback import Feedback
from fairlead.transport.simple.models import ModelList
from fairlead.transport.spans import http_ending, route
from fairlead.transport.tfserving.dialect import TfServing
from fairlead.transport.try_page import TryPage
from fairlead.transport.v2.dialect import V2
from fairlead.transport.v2.route import asked_scope

__all__ = ["MAX_BODY_BYTES", "HttpApp"]

MAX_BODY_BYTES = 64 * 1024 * 1024

_log = logging.getLogger(__name__)
Place = tuple[Dialect, str, Scope | None]
"""Who answers for a path, the protocol it is counted under, and what a caller must be good for."""
_OUR_FAULT = frozenset({Code.UNKNOWN, Code.INTERNAL, Code.DATA_LOSS})


class HttpApp:
    """Everything that the REST port answers.

    Args:
        predictor: answers predictions.
        catalogue: knows models, versions and readiness.
        metrics: counts requests; `/metrics` shows all that its instruments count.
        statistics: what the versions have done.
        control: loads and unloads models by request; None where releases alone decide.
        feedback: takes labels in; None where nothing is logged.
        sticky_header: names a request's key, by which it stays with one version while another is tried.
        max_body_bytes: the largest body that is read.
        max_rows: the most rows that the predictor takes in one request.
        tracer: decides which requests are traced; None for none.
        has_try_page: whether browsers are shown a page to try the models on.
        access_log: takes a line for each request; None for no such log.
        doorkeeper: says who may ask for what; None when everybody may.

    Attributes:
        draining: set to True when every answer is to be the last on its connection.
        withdrawn: set to True when the service is about to leave: it is no longer ready.
        max_body_bytes: as above.
    """

    def __init__(
        self,
        predictor: Predicting,
        catalogue: Catalogue,
        metrics: TransportMetrics,
        statistics: Statistics,
        control: ModelControl | None = None,
        *,
        sticky_header: str = STICKY_HEADER,
        feedback: FeedbackTaker | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_rows: int = MAX_ROWS,
        tracer: Tracer | None = None,
        has_try_page: bool = False,
        access_log: AccessLog | None = None,
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        self.draining = self.withdrawn = False
        self.max_body_bytes = max_body_bytes
        self._catalogue = catalogue
        self._metrics = metrics
        self._tracer = tracer
        self._access_log = access_log
        self._doorkeeper = doorkeeper
        self._ids = PredictionIds()
        self._tfserving = TfServing(predictor, catalogue)
        self._v2 = V2(
            predictor, catalogue, statistics, control=control, is_draining=lambda: self.withdrawn, max_rows=max_rows
        )
        self._sticky_header = sticky_header.lower().encode()
        self._nowhere = Nowhere()
        health, pages, openapi = Health(catalogue, lambda: self.withdrawn), MetricsPages(metrics), OpenApiPages()
        models = ModelList(catalogue, takes_feedback=feedback is not None)
        self._places: dict[str, Place] = {
            "/predict": (Simple(predictor, catalogue), "simple", Scope.PREDICT),
            "/feedback": (Feedback(feedback), "simple", Scope.FEEDBACK),
            "/models": (models, "", Scope.PREDICT),
            **dict.fromkeys(Health.PATHS, (health, "", None)),
            **dict.fromkeys(MetricsPages.PATHS, (pages, "", Scope.METRICS)),
            **dict.fromkeys(OpenApiPages.PATHS, (openapi, "", Scope.PREDICT)),
            **dict.fromkeys(TryPage.PATHS if has_try_page else (), (TryPage(health), "", None)),
        }

    async def answer(self, request: Request) -> Response:
        """Answer one request. Cancelled when its client goes away; raises nothing else."""
        dialect, protocol = self._dialect(request.path)
        call = Call(protocol=protocol, key=request.header(self._sticky_header).decode("latin-1"))
        if self._tracer is not None and protocol:
            call.trace = self._tracer.begin(
                request.header(b"traceparent"), request.header(b"tracestate"), request.arrived
            )
        try:
            if self._doorkeeper is not None:
                scope = self._scope(request)
                if scope is not None:
                    call.tenant = admit(self._doorkeeper, request, scope).name
            response = await dialect.answer(request, call)
        except asyncio.CancelledError:
            self._count(call, Code.CANCELLED, request, HTTP_STATUS[Code.CANCELLED])
            self._end_trace(call, request, Code.CANCELLED, HTTP_STATUS[Code.CANCELLED])
            raise
        except Exception as error:  # noqa: BLE001 - the outermost handler: a bug must not end the connection
            self._metrics.refused(protocol, error)
            response = self._refusal(dialect, request, call, error)
        self._count(call, response.code, request, response.status)
        if call.prediction_id:
            made = (b"x-prediction-id", call.prediction_id.encode())
            response.headers = (*response.headers, made, (b"x-model-version", b"%d" % (call.version or 0)))
        elif response.code is not None:
            response.headers = (*response.headers, (b"x-request-id", call.request_id.encode()))
        if call.trace is not None:
            response.headers = (*response.headers, (b"traceresponse", call.trace.response))
            self._end_trace(call, request, response.code, response.status)
        return response

    def refuse(self, request: Request, error: FairleadError) -> Response:
        """Refuse, in its dialect's shape, a request that could not be read."""
        dialect, protocol = self._dialect(request.path)
        response = dialect.refuse(error)
        self._count(Call(protocol=protocol), error.code, request, response.status)
        return response

    def _dialect(self, path: str) -> tuple[Dialect, str]:
        """Who answers for `path`, and the protocol it is counted under: none for what is not traffic."""
        if path[:4].lower() == "/v1/":
            return self._tfserving, "tfserving"
        if path == "/v2" or path.startswith("/v2/"):
            return self._v2, "" if path.startswith("/v2/health/") else "v2"
        place = self._places.get(path)
        return (self._nowhere, "") if place is None else (place[0], place[1])

    def _scope(self, request: Request) -> Scope | None:
        """What the request has to be good for; None for what is open to all. What means nothing here is not."""
        path = request.path
        if path == "/v2" or path.startswith("/v2/"):
            return asked_scope(request)
        place = self._places.get(path)
        return Scope.PREDICT if place is None else place[2]

    def _count(self, call: Call, code: Code | None, request: Request, status: int) -> None:
        if call.protocol:
            now = time.monotonic()
            seconds = now - request.arrived
            self._metrics.record(call, code, seconds, self._catalogue.knows)
            if self._access_log is not None:
                is_known = code is None or self._catalogue.knows(call.model, call.version)
                self._access_log.put(
                    call, request.method, request.path, status, code, is_known=is_known, ended=now, seconds=seconds
                )

    def _end_trace(self, call: Call, request: Request, code: Code | None, status: int) -> None:
        if self._tracer is not None and call.trace is not None:
            is_known = code is None or self._catalogue.knows(call.model, call.version)
            self._tracer.end(call.trace, http_ending(request, call, code, status, is_known=is_known))

    def _refusal(self, dialect: Dialect, request: Request, call: Call, error: Exception) -> Response:
        """What `dialect` says of `error`; a bug's refusal gives nothing away."""
        call.request_id = call.prediction_id or self._ids()
        ids = {"request_id": call.request_id, "trace_id": call.trace_id}
        if not isinstance(error, FairleadError):
            _log.error("%s broke", _asked(request), exc_info=error, extra=ids)
            return dialect.refuse(FairleadError(Code.INTERNAL, "Internal error", hint="the server's log says more"))
        if error.code in _OUR_FAULT:
            _log.error("%s failed: %s", _asked(request), error, extra=ids)
        return dialect.refuse(error)


class Nowhere:
    """Answers for paths that mean nothing here, in the simple API's shape."""

    async def answer(self, request: Request, _call: Call) -> Response:
        raise FairleadError(
            Code.NOT_FOUND,
            f"Nothing is served at {request.path[:200]}",
            hint="try POST /predict, GET /health/ready or GET /v1/models/MODEL",
        )

    def refuse(self, error: FairleadError) -> Response:
        return refusal(error)


def _asked(request: Request) -> str:
    """The route: in a path a client may have written anything."""
    return f"{request.method} {route(request.method, request.path) or 'of a path that means nothing'}"
