"""KServe's Python server: V1 and V2 over REST, V2 over gRPC, one worker."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from benchmarks.peers.classifier import Classifier


class Runtime(Model):  # type: ignore[misc]  # the library is seen as Any
    """One model, in both dialects."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._classify = Classifier()
        self.ready = True

    async def predict(
        self, payload: dict[str, Any] | InferRequest, headers: object = None, response_headers: object = None
    ) -> dict[str, Any] | InferResponse:
        """One request."""
        del headers, response_headers
        if isinstance(payload, dict):
            return {"predictions": self._classify(np.array(payload["instances"], np.float32)).tolist()}
        probs = self._classify(payload.inputs[0].as_numpy())
        output = InferOutput("probs", list(probs.shape), "FP32")
        output.set_data_from_numpy(probs, binary_data=True)
        return InferResponse(
            payload.id or "",
            self.name,
            [output],
            use_binary_outputs=payload.use_binary_outputs,
            requested_outputs=payload.request_outputs,
        )


ModelServer(
    http_port=int(os.environ["PORT"]),
    grpc_port=int(os.environ["GRPC_PORT"]),
    workers=1,
    max_threads=1,
    access_log_format=None,
    enable_latency_logging=False,
).start([Runtime(os.environ["NETWORK"])])
