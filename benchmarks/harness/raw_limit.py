"""Images a second of ONNX Runtime alone in a process: what a server that cost nothing would reach.

MODEL=FILE python -m benchmarks.harness.raw_limit NETWORK SECONDS      prints JSON: images a second by batch size
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.networks import CNN, PERCEPTRON
from benchmarks.peers.classifier import Classifier

BATCHES = (1, 8, 32, 128)


def images_a_second(classify: Classifier, batch: NDArray[np.float32], seconds: float) -> float:
    """The same batch again and again for `seconds`."""
    classify(batch)
    began, runs = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < seconds:
        classify(batch)
        runs += 1
    return runs * len(batch) / took


def main() -> None:
    """Measure each batch size."""
    network = next(network for network in (CNN, PERCEPTRON) if network.name == sys.argv[1])
    classify = Classifier()
    print(json.dumps({rows: images_a_second(classify, network.rows(rows), float(sys.argv[2])) for rows in BATCHES}))


if __name__ == "__main__":
    main()
