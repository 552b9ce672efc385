"""What `fairlead serve --engine ray` runs: a deployment on Ray Serve, there for as long as this is."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fairlead.app.access import check_access, open_doorkeeper
from fairlead.app.cluster import connected, run_task
from fairlead.app.ray_replica import Replica
from fairlead.app.tls import tls_files
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError

__all__ = ["Replicas", "serve_on_ray"]

_NAME = "fairlead"
_ROOM = 4
"""How many times the requests aimed at a replica may have at most: the rest waits at the proxies."""
_LONGEST_WINDOW_S = 30.0
_LEAST_WINDOW_S = 1.0
_COUNTS_A_WINDOW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """How many there are.

    Attributes:
        least: at any time, at least 1.
        most: at any time.
        target: requests that each is to have under way; above it there are more replicas, below it fewer.
        upscale_delay_s: how long it has to be too many before there are more.
        downscale_delay_s: how long it has to be too few before there are fewer.

    Raises:
        FairleadError: INVALID_ARGUMENT for numbers that make no sense together.
    """

    least: int
    most: int
    target: int
    upscale_delay_s: float
    downscale_delay_s: float

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most or self.target < 1:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"there cannot be {self.least} to {self.most} replicas with {self.target} requests each",
                hint="--min-replicas 1 --max-replicas 4 --target-in-flight 8",
            )
        for delay_s in (self.upscale_delay_s, self.downscale_delay_s):
            if not 0 <= delay_s < math.inf:
                raise FairleadError(
                    Code.INVALID_ARGUMENT,
                    f"replicas cannot be added or taken away after {delay_s:g} s",
                    hint="--upscale-delay-s 30 --downscale-delay-s 600",
                )

    def autoscaling(self) -> dict[str, float]:
        """Ray's autoscaling configuration: it reckons with the mean of no longer a while than it is to wait for."""
        window_s = max(_LEAST_WINDOW_S, min(_LONGEST_WINDOW_S, self.upscale_delay_s, self.downscale_delay_s))
        return {
            "min_replicas": self.least,
            "max_replicas": self.most,
            "target_ongoing_requests": self.target,
            "upscale_delay_s": self.upscale_delay_s,
            "downscale_delay_s": self.downscale_delay_s,
            "look_back_period_s": window_s,
            "metrics_interval_s": window_s / _COUNTS_A_WINDOW,
        }


def serve_on_ray(settings: Settings, engine: str, replicas: Replicas, on_ready: Callable[[str], None]) -> None:
    """Deploy the REST port on a cluster, and take it away when a signal ends this.

    Args:
        settings: what to serve, and where Ray's proxies listen.
        engine: which cluster, see `connected`.
        replicas: how many.
        on_ready: told the address once the first replicas answer.

    Raises:
        FairleadError: for what cannot be had there; the reason why the replicas do not come up.
    """
    check_access(settings)
    _check(settings)
    texts = settings.texts()
    told = {name: texts[name] for name in _TOLD if name in texts} | {
        "home": str(settings.home.absolute()),
        "store": str(settings.store_path.absolute()),
    }
    asks_keys = open_doorkeeper(settings, "") is not None
    over = threading.Event()
    with connected(engine) as ray:
        for number in (signal.SIGTERM, signal.SIGINT):  # not before: Ray takes both for itself
            signal.signal(number, lambda *_: over.set())

        try:
            run_task(
                ray,
                _deploy,
                told,
                replicas,
                asks_keys,
                on_word=lambda _: None,
                cpus=0,
                retries=0,
                is_over=over.is_set,
            )
            on_ready(f"http://{settings.host}:{settings.rest_port}")
            over.wait()
        finally:
            run_task(ray, _take_away, on_word=lambda _: None, cpus=0, retries=0)


_TOLD = (
    "host",
    "rest_port",
    "models",
    "default_label",
    "default_model",
    "trusted_keys",
    "open",
    "jwks_file",
    "jwt_audience",
    "jwks_refresh_s",
    "token_rate",
    "token_quota",
    "model_rates",
    "model_quotas",
    "quiet_period_s",
    "version_policy",
    "threads",
    "max_in_flight",
    "max_queue_s",
    "max_batch_rows",
    "max_batch_delay_s",
    "max_rows",
    "max_body_bytes",
    "poll_interval_s",
    "sticky_header",
)
"""The settings that replicas have a use for; none of them is a secret."""


def _check(settings: Settings) -> None:
    """Refuse what was asked for and is not there."""
    asked = {
        "store in a bucket": settings.bucket_url is not None,
        "TLS": tls_files(settings) is not None,
        "prediction log": settings.prediction_log == "on",
        "tracing": settings.traces is not None,
        "loading by request": settings.model_control != "release",
        "serving of plain models": settings.model_config_file is not None or settings.model_base_path is not None,
        "free port": settings.rest_port == 0,
    }
    for what, is_asked in asked.items():
        if is_asked:
            raise FairleadError(Code.UNIMPLEMENTED, f"there is no {what} on Ray Serve", hint="see docs/ray.md")


def _deploy(told: dict[str, str], replicas: Replicas, asks_keys: bool, _tell: Callable[[Any], None]) -> None:
    """In a task of the cluster: whoever came by `ray://` may deploy too."""
    from ray import serve  # noqa: PLC0415 - an extra

    serve.start(proxy_location="EveryNode", http_options={"host": told["host"], "port": int(told["rest_port"])})
    deployment = serve.deployment(Replica).options(
        name=_NAME,
        max_ongoing_requests=_ROOM * replicas.target,
        autoscaling_config=replicas.autoscaling(),
        max_constructor_retry_count=1,  # what keeps a replica from serving is seldom gone the next time
        logging_config={"enable_access_log": False},
    )
    try:
        serve.run(deployment.bind(told, asks_keys=asks_keys), name=_NAME, route_prefix="/")
    except RuntimeError as error:
        found = serve.status().applications.get(_NAME)
        said = [deployed.message for deployed in found.deployments.values()] if found else []
        why = "".join(said).strip().splitlines() or [str(error)]
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the replicas do not come up: {why[-1].partition('FairleadError: ')[2] or why[-1]}",
            hint="serve status",
        ) from error


def _take_away(_tell: Callable[[Any], None]) -> None:
    from ray import serve  # noqa: PLC0415 - an extra

    serve.delete(_NAME)
    if not serve.status().applications:
        serve.shutdown()
