"""LitServe on the CPU, one worker, without batching: joining requests gained it nothing here."""

import os
from typing import Any

import litserve
import numpy as np
from fastapi import Request
from numpy.typing import NDArray

from benchmarks.peers.classifier import Classifier


class Api(litserve.LitAPI):  # type: ignore[misc]  # the library is in the peer's own environment
    """One model."""

    def setup(self, device: str) -> None:
        """Open the session."""
        del device
        self._classify = Classifier()

    def decode_request(self, request: Request) -> NDArray[np.float32]:
        """The JSON, which the library has read by now, to rows."""
        return np.array(request["instances"], np.float32)

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """One request."""
        return self._classify(x)

    def encode_response(self, output: NDArray[np.float32]) -> dict[str, Any]:
        """Rows to JSON."""
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=1, timeout=60)
    port = int(os.environ["PORT"])
    server.run(host="127.0.0.1", port=port, num_api_servers=1, log_level="error", generate_client_file=False)
