"""Everything that the gRPC port answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.principal import Principal
from fairlead.errors import Code, FairleadError
from fairlead.serving.prediction_id import PredictionIds
from fairlead.serving.predictor import MAX_ROWS
from fairlead.serving.statistics import Statistics
from fairlead.telemetry.tracing import Tracer
from fairlead.transport.access_log import AccessLog
from fairlead.transport.credential import credential_in
from fairlead.transport.grpc.calls import Admit, Opening, StreamingCall, UnaryCall
from fairlead.transport.grpc.health import health_service
from fairlead.transport.grpc.inbox import Budget
from fairlead.transport.grpc.inference import InferenceService
from fairlead.transport.grpc.method import Context, Method, Service, Streaming
from fairlead.transport.grpc.opening import read_opening
from fairlead.transport.grpc.reflection import reflection_services
from fairlead.transport.grpc.status import GRPC_STATUS, refusal
from fairlead.transport.grpc.stream import NOBODY, Exchange, Stream
from fairlead.transport.grpc.tfserving import ModelService, PredictionService
from fairlead.transport.message import STICKY_HEADER
from fairlead.transport.metrics import TransportMetrics
from fairlead.transport.ports import Catalogue, ConfigControl, ModelControl, Predicting
from fairlead.transport.spans import grpc_ending

__all__ = ["GrpcApp"]

_BUDGET_MESSAGES = 8
"""How many messages of the largest size can be on their way at once."""


class GrpcApp:
    """The services, and what their calls share.

    Args:
        predictor: answers predictions.
        catalogue: knows models, versions and readiness.
        metrics: counts calls.
        statistics: what the versions have done.
        control: loads and unloads models by request; None where releases alone decide.
        max_message_bytes: the largest message that is taken, before and after decompression.
        max_rows: the most rows that the predictor takes in one request.
        config_control: replaces the configuration of models; None when they are those of a store.
        sticky_header, tracer, access_log, doorkeeper: as for `HttpApp`; here it is metadata that they read.

    Attributes:
        withdrawn: set to True when the service is about to leave: it is no longer ready.
        draining: set to True when this process leaves, whether or not the service goes on in others.
    """

    def __init__(
        self,
        predictor: Predicting,
        catalogue: Catalogue,
        metrics: TransportMetrics,
        statistics: Statistics,
        control: ModelControl | None = None,
        *,
        max_message_bytes: int,
        max_rows: int = MAX_ROWS,
        config_control: ConfigControl | None = None,
        sticky_header: str = STICKY_HEADER,
        tracer: Tracer | None = None,
        access_log: AccessLog | None = None,
        doorkeeper: Doorkeeper | None = None,
    ) -> None:
        self.withdrawn = self.draining = False
        self.tracer = tracer
        self.ids: Callable[[], str] = PredictionIds()
        self._access_log = access_log
        self._doorkeeper = doorkeeper
        self.max_message_bytes = max_message_bytes
        self.sticky_header = sticky_header.lower().encode()
        self.budget = Budget(_BUDGET_MESSAGES * max_message_bytes)
        self._catalogue = catalogue
        self._metrics = metrics
        traffic: Sequence[Service] = (
            PredictionService(predictor, catalogue, max_message_bytes).service(),
            ModelService(catalogue, config_control).service(),
            InferenceService(
                predictor, catalogue, statistics, control=control, is_ready=self._is_ready, max_rows=max_rows
            ).service(),
        )
        probed = [service.name for service in traffic]
        health = health_service(probed, is_ready=self._is_ready, is_leaving=lambda: self.draining)
        services = (*traffic, health, *reflection_services())
        self._methods = {method.path.encode(): method for service in services for method in service.methods()}

    def accept(self, stream: Stream) -> Exchange:
        """Begin the call that `stream` asks for, or refuse it."""
        head = stream.head
        if head.reading is None:
            head.reading = read_opening(head, self._methods)
        opening = head.reading
        if not isinstance(opening, Opening):
            stream.send_trailers(opening)
            return NOBODY  # it was answered by its headers alone
        admit: Admit = _anybody
        tenant = None
        if self._doorkeeper is not None and opening.method.scope is not None:
            fields = head.fields
            credential = credential_in(fields.get(b"authorization", b""), fields.get(b"x-api-key", b""))
            admit = partial(self._doorkeeper.admit, credential, opening.method.scope)
            caller = self._admit(admit, stream, opening.method)
            if caller is None:
                return NOBODY
            tenant = caller.name
        if opening.method.unary is not None:
            call: Exchange = UnaryCall(self, stream, opening, opening.method.unary, tenant=tenant)
        else:
            streaming = cast("Streaming", opening.method.streaming)
            call = StreamingCall(self, stream, opening, streaming, tenant=tenant, admit=admit)
        return call

    def _admit(self, admit: Admit, stream: Stream, method: Method) -> Principal | None:
        """Who calls; None when they may not, and have been told."""
        began = time.monotonic()
        try:
            return admit(counts=True)
        except FairleadError as error:
            context = Context(protocol=method.protocol, api=method.name)
            self.refused(context, error)
            self.record(method, context, error.code, began)
            stream.send_trailers(refusal(error, method.details(error)))
            return None

    def record(self, method: Method, context: Context, code: Code | None, started: float) -> None:
        """Count a call that ended; `code` is None for a success, `started` when, a monotonic second."""
        if context.protocol:
            now = time.monotonic()
            seconds = now - started
            self._metrics.record(context, code, seconds, self._catalogue.knows)
            is_known = code is None or self._catalogue.knows(context.model, context.version)
            status = GRPC_STATUS[code] if code else 0
            if self._access_log is not None:
                self._access_log.put(
                    context, "", method.path, status, code, is_known=is_known, ended=now, seconds=seconds
                )
            if self.tracer is not None and context.trace is not None:
                self.tracer.end(context.trace, grpc_ending(method.path, context, code, status, is_known=is_known))

    def refused(self, context: Context, error: FairleadError) -> None:
        """Count a call that was refused because there was too much to do, if that is what `error` says."""
        self._metrics.refused(context.protocol, error)

    def _is_ready(self) -> bool:
        return self._catalogue.readiness().is_ready and not self.withdrawn


def _anybody(*, counts: bool) -> None:
    """Lets in whom nobody asks for a credential."""
