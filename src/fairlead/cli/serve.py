"""`fairlead serve`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

from fairlead.app.server import Addresses, serve
from fairlead.cli.engine_flag import add_engine_flag
from fairlead.cli.output import say, settings_from
from fairlead.config import LOCAL, Settings, add_flags, available_cpus
from fairlead.serving.status import Readiness
from fairlead.telemetry.logs import configure_logging

__all__ = ["EXAMPLE", "FLAGS", "configure", "run", "share"]

FLAGS = (
    "home",
    "store",
    "store_cache_bytes",
    "host",
    "rest_port",
    "grpc_port",
    "management_host",
    "management_port",
    "models",
    "default_model",
    "default_label",
    "model_config_file",
    "model_name",
    "model_base_path",
    "model_roots",
    "model_control",
    "version_policy",
    "quiet_period_s",
    "workers",
    "threads",
    "max_in_flight",
    "max_queue_s",
    "max_batch_rows",
    "max_batch_delay_s",
    "max_rows",
    "max_body_bytes",
    "max_connections",
    "poll_interval_s",
    "header_timeout_s",
    "body_timeout_s",
    "drain_delay_s",
    "drain_timeout_s",
    "open",
    "operator_libraries",
    "providers",
    "gpu_memory_bytes",
    "file_operators",
    "python_models",
    "python_model_interpreter",
    "python_model_memory_bytes",
    "python_model_deadline_s",
    "trusted_keys",
    "tls_certificate",
    "tls_key",
    "tls_client_ca",
    "tls_ports",
    "hsts_max_age_s",
    "cors_origins",
    "jwks_file",
    "jwks_url",
    "jwks_refresh_s",
    "jwt_audience",
    "token_rate",
    "token_quota",
    "model_rates",
    "model_quotas",
    "sticky_header",
    "prediction_log",
    "log_sample",
    "log_measured_per_s",
    "log_inputs",
    "spool_bytes",
    "database_url",
    "traces",
    "trace_sample",
    "trace_limit",
    "log_files",
    "access_log",
    "payload_log",
    "log_bytes",
    "keep_access_logs_days",
    "keep_application_logs_days",
    "keep_exception_logs_days",
    "keep_payload_logs_days",
    "console",
    "env",
    "try_page",
    "log_format",
)

EXAMPLE = """example:
  fairlead serve --store .fairlead/store
  fairlead serve --rest-port 8501 --grpc-port 8500 --models digits
  API_KEY=$(openssl rand -hex 32) fairlead serve --host 0.0.0.0

SIGTERM drains: open requests are answered, then the process ends with status 0.
SIGHUP replaces the worker processes one by one, and no request fails."""


def configure(parser: ArgumentParser) -> None:
    add_engine_flag(parser)
    parser.add_argument("--min-replicas", type=int, default=1, help="on Ray at any time (default: 1)")
    parser.add_argument("--max-replicas", type=int, default=4, help="on Ray at any time (default: 4)")
    parser.add_argument("--target-in-flight", type=int, default=8, help="requests a replica on Ray (default: 8)")
    parser.add_argument("--upscale-delay-s", type=float, default=30.0, help="of load on Ray (default: 30)")
    parser.add_argument("--downscale-delay-s", type=float, default=600.0, help="of less load (default: 600)")
    add_flags(parser, *FLAGS)


def run(arguments: Namespace) -> int:
    settings = settings_from(arguments)
    configure_logging(sys.stderr, settings.log_format)
    if arguments.engine != LOCAL:
        return _run_on_ray(settings, arguments)
    serve(
        settings,
        on_listening=lambda at: say(
            f"listening on {at.rest} (gRPC on {at.grpc}) with {share(settings)}; management on {at.management}"
        ),
        on_ready=lambda at, readiness: say("\n".join(_ready(at, readiness))),
    )
    say("drained")
    return 0


def _run_on_ray(settings: Settings, arguments: Namespace) -> int:
    from fairlead.app.ray_serving import Replicas, serve_on_ray  # noqa: PLC0415 - for who has a cluster

    replicas = Replicas(
        least=arguments.min_replicas,
        most=arguments.max_replicas,
        target=arguments.target_in_flight,
        upscale_delay_s=arguments.upscale_delay_s,
        downscale_delay_s=arguments.downscale_delay_s,
    )
    serve_on_ray(settings, arguments.engine, replicas, on_ready=lambda address: say(f"ready on Ray Serve: {address}"))
    say("taken away")
    return 0


def _ready(at: Addresses, readiness: Readiness) -> Iterator[str]:
    models = ", ".join(f"{model}@{version}" for model, version in readiness.models.items())
    yield f"ready: {models} at {at.rest} (gRPC at {at.grpc})"
    if at.console:
        yield at.console


def share(settings: Settings) -> str:
    """How the machine is shared out: "2 workers x 1 thread on 2 CPUs"."""
    counts = ((settings.worker_count, "worker"), (settings.thread_count, "thread"), (available_cpus(), "CPU"))
    workers, threads, cpus = (f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
    return f"{workers} x {threads} on {cpus}"
