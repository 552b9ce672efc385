"""What a worker runs: the data plane, put together."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from fairlead.app.access import open_doorkeeper
from fairlead.app.metrics import ServiceMetrics
from fairlead.app.models import check_models, open_control, open_manager, open_reload
from fairlead.app.request_logs import open_access_log, open_payload_log
from fairlead.app.tls import has_tls, open_tls
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.metering.meter import Meter, ModelMeter
from fairlead.metering.per_model import per_model
from fairlead.metering.quota import Quota
from fairlead.metering.rate import Rate
from fairlead.monitoring.spool import SpoolWriter
from fairlead.serving.manager import Manager
from fairlead.serving.prediction_log import PredictionLog
from fairlead.serving.predictor import Predictor
from fairlead.serving.status import Readiness
from fairlead.telemetry.traces import TraceMetrics
from fairlead.telemetry.tracing import Tracer
from fairlead.transport.connection import App
from fairlead.transport.cors import Cors
from fairlead.transport.grpc.app import GrpcApp
from fairlead.transport.grpc.server import GrpcServer
from fairlead.transport.http import HttpApp
from fairlead.transport.limits import Limits
from fairlead.transport.listener import allow_connections
from fairlead.transport.ports import FeedbackTaker
from fairlead.transport.server import HttpServer
from fairlead.transport.transport_security import TransportSecurity

__all__ = ["DataPlane", "open_predictor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """How a worker's answers are kept.

    Attributes:
        spool: the directory that it alone writes to.
        feedback: takes labels in.
    """

    spool: Path
    feedback: FeedbackTaker


class DataPlane:
    """Everything that answers requests in one process. Its models load from the start.

    Args:
        settings: what was asked for.
        sockets: listening sockets by protocol: "rest" and "grpc", and "door", where the console asks past the ports.
        metrics: where it counts.
        recording: where it writes down what it answered; None for nowhere.
        lifetimes: ends what begins here.
        meter: charges callers and models for requests.
        console_key: by which the server's own console is known; empty where there is none.

    Raises:
        FairleadError: when there is nothing that can be served.
    """

    def __init__(
        self,
        settings: Settings,
        sockets: Mapping[str, socket.socket],
        metrics: ServiceMetrics,
        recording: Recording | None,
        lifetimes: AsyncExitStack,
        *,
        meter: Meter,
        console_key: str = "",
    ) -> None:
        check_models(settings)
        doorkeeper = open_doorkeeper(settings, console_key, meter=meter)
        allow_connections(settings.max_connections)
        self._manager = open_manager(settings, metrics.load, metrics.graphs)
        self._manager.start()
        lifetimes.callback(self._manager.stop)
        log = _open_log(settings, recording, metrics, lifetimes)
        predictor = self._predictor = open_predictor(settings, self._manager, metrics, meter, log)
        lifetimes.callback(predictor.close)
        tracer = _open_tracer(settings, metrics.traces, lifetimes)
        access_log = open_access_log(settings, metrics.app_log.failures.inc)
        if access_log is not None:
            lifetimes.callback(access_log.close)
        control = open_control(settings, self._manager)
        self._http_app = HttpApp(
            predictor,
            self._manager,
            metrics.transport,
            metrics.statistics,
            control,
            max_body_bytes=settings.max_body_bytes,
            max_rows=settings.max_rows,
            sticky_header=settings.sticky_header,
            feedback=recording.feedback if recording else None,
            tracer=tracer,
            has_try_page=settings.has_try_page,
            access_log=access_log,
            doorkeeper=doorkeeper,
        )
        self._grpc_app = GrpcApp(
            predictor,
            self._manager,
            metrics.transport,
            metrics.statistics,
            control,
            max_message_bytes=settings.max_body_bytes,
            max_rows=settings.max_rows,
            config_control=open_reload(settings, self._manager),
            sticky_header=settings.sticky_header,
            tracer=tracer,
            access_log=access_log,
            doorkeeper=doorkeeper,
        )
        limits = _limits(settings)
        door = (
            [HttpServer(self._http_app, sockets["door"], owns_port=False, drain_timeout_s=settings.drain_timeout_s)]
            if "door" in sockets
            else []
        )
        self._servers: tuple[HttpServer | GrpcServer, ...] = (
            *door,
            HttpServer(
                _for_browsers(self._http_app, settings),
                sockets["rest"],
                limits=limits,
                owns_port=False,
                siblings=metrics.connections["rest"],
                tls=open_tls(settings, "rest", metrics.tls.failed.inc),
                drain_timeout_s=settings.drain_timeout_s,
            ),
            GrpcServer(
                self._grpc_app,
                sockets["grpc"],
                limits=limits,
                owns_port=False,
                siblings=metrics.connections["grpc"],
                tls=open_tls(settings, "grpc", metrics.tls.failed.inc),
                drain_timeout_s=settings.drain_timeout_s,
            ),
        )

    async def serve(self) -> None:
        """Take connections and answer them until a drain has ended."""
        await asyncio.gather(*(server.serve() for server in self._servers))

    def readiness(self) -> Readiness:
        """Whether the models answer."""
        return self._manager.readiness()

    def versions(self) -> frozenset[tuple[str, int]]:
        """The models' versions that should be served, or still are."""
        return frozenset((id_.model, id_.version) for id_ in self._manager.wanted())

    def show_waiting(self) -> None:
        """Bring the metrics of what waits up to date."""
        self._predictor.show_waiting()

    def withdraw(self) -> None:
        """Be no longer ready, and ask clients to close their connections."""
        self._http_app.draining = True
        for app in (self._http_app, self._grpc_app):
            app.withdrawn = True

    def drain(self) -> None:
        """Stop accepting, answer what is open, and let `serve` return; called again, at once."""
        for server in self._servers:
            server.drain()


def open_predictor(
    settings: Settings, manager: Manager, metrics: ServiceMetrics, meter: Meter, log: PredictionLog | None = None
) -> Predictor:
    """What answers predictions with the manager's models, in the event loop that runs."""
    return Predictor(
        manager,
        metrics.batches,
        metrics.statistics,
        threads=settings.thread_count,
        max_in_flight=settings.max_in_flight,
        max_batch_rows=settings.max_batch_rows,
        max_batch_delay_s=settings.max_batch_delay_s,
        max_queue_s=settings.max_queue_s,
        max_rows=settings.max_rows,
        log=log,
        meter=_model_meter(settings, meter),
    )


def _model_meter(settings: Settings, meter: Meter) -> ModelMeter | None:
    if not settings.model_rates and not settings.model_quotas:
        return None
    return ModelMeter(meter, per_model(settings.model_rates, Rate), per_model(settings.model_quotas, Quota))


def _open_log(
    settings: Settings, recording: Recording | None, metrics: ServiceMetrics, lifetimes: AsyncExitStack
) -> PredictionLog | None:
    if recording is None:
        return None
    writer = SpoolWriter(
        recording.spool, max_bytes=settings.spool_bytes // settings.worker_count, on_drop=metrics.log.dropped_bytes.inc
    )
    lifetimes.callback(writer.close)
    payloads = open_payload_log(settings, metrics.app_log.failures.inc)
    if payloads is not None:
        lifetimes.callback(payloads.close)
    return PredictionLog(
        writer,
        sample=settings.log_sample,
        measured_per_s=settings.log_measured_per_s,
        keeps_inputs=settings.log_inputs == "numbers",
        payloads=payloads,
    )


def _open_tracer(settings: Settings, metrics: TraceMetrics, lifetimes: AsyncExitStack) -> Tracer | None:
    if settings.traces is None:
        return None
    try:
        from fairlead.telemetry.otlp import OtlpSink  # noqa: PLC0415 - an optional extra, and slow to import
    except ImportError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"requests are to be traced, and OpenTelemetry is not installed: {error}",
            hint="pip install 'fairlead[tracing]'",
        ) from error
    sink = OtlpSink(settings.traces, metrics)
    lifetimes.callback(sink.close)
    return Tracer(sink, sample=settings.trace_sample, limit=settings.trace_limit, on_limit=metrics.over_limit)


def _for_browsers(app: HttpApp, settings: Settings) -> App:
    """The application with what browsers are told beside its answers."""
    shown: App = Cors(app, settings.cors_origins) if settings.cors_origins else app
    tells = settings.hsts_max_age_s and has_tls(settings, "rest")
    return TransportSecurity(shown, settings.hsts_max_age_s) if tells else shown


def _limits(settings: Settings) -> Limits:
    return Limits(
        connections=settings.max_connections,
        header_timeout_s=settings.header_timeout_s,
        body_timeout_s=settings.body_timeout_s,
    )
