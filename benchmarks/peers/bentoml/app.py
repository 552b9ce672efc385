"""BentoML with its adaptive batching, one worker."""

from __future__ import annotations

import bentoml
import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.classifier import Classifier


@bentoml.service(workers=1, threads=1, traffic={"timeout": 60})
class Service:
    """One model."""

    def __init__(self) -> None:
        self._classify = Classifier()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)  # type: ignore[untyped-decorator]
    def predict(self, instances: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows of many requests."""
        return self._classify(np.asarray(instances, np.float32))
