"""Ray Serve: one replica behind its HAProxy ingress, with the settings it has for throughput."""

from __future__ import annotations

import os
import signal

import numpy as np
import orjson
import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peers.classifier import Classifier


@serve.deployment(
    num_replicas=1,
    max_ongoing_requests=1024,
    ray_actor_options={"num_cpus": 0},
    logging_config={"enable_access_log": False},
)
class Service:
    """One model."""

    def __init__(self) -> None:
        self._classify = Classifier()

    async def __call__(self, request: Request) -> Response:
        """One batch of rows."""
        probs = self._classify(np.array(orjson.loads(await request.body())["instances"], np.float32))
        return Response(orjson.dumps({"predictions": probs}, option=orjson.OPT_SERIALIZE_NUMPY))


ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
serve.run(Service.bind(), route_prefix="/predict")  # type: ignore[attr-defined]  # the decorator adds it
signal.sigwait([signal.SIGTERM])
serve.shutdown()
ray.shutdown()
