"""What Fairlead aims at, beside what a run found. A target was drawn beforehand; missing it fails nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness.networks import CNN
from benchmarks.harness.results import Results

__all__ = ["PYTHON_PEERS", "TRITONS", "Target", "targets"]

PYTHON_PEERS = ("fastapi", "mlserver", "kserve", "bentoml", "litserve", "ray")
TRITONS = ("triton", "triton-delay")
_JSON, _JSON_ONE, _JSON_MANY = "cnn json 1x64", "cnn json 1x1", "cnn json 1x1000"
_JSON_32, _BINARY = "cnn json 32x8", "cnn v2-binary 1x64"
_PREDICT, _INFER = "cnn grpc-predict 1x64", "cnn grpc-infer 1x64"
_TINY_JSON, _TINY_BINARY = "perceptron json 1x64", "perceptron v2-binary 1x64"


@dataclass(frozen=True, kw_only=True)
class Target:
    """One line of the table.

    Attributes:
        text: what is measured.
        found: the figure; NaN when the run has not what it takes.
        bar: what it should reach, or stay within.
        is_ceiling: whether the figure should stay within.
    """

    text: str
    found: float
    bar: float
    is_ceiling: bool = False

    @property
    def is_met(self) -> bool:
        return self.found <= self.bar if self.is_ceiling else self.found >= self.bar


def targets(results: Results) -> list[Target]:
    """All of them, with what the run found."""
    sight = _Sight(results)
    return [
        Target(text="JSON, 64 connections / raw limit", found=sight.of_limit(_JSON), bar=0.72),
        Target(text="JSON, 64 connections / best Python peer", found=sight.of_python(_JSON), bar=2.3),
        Target(text="JSON, 64 connections / Triton", found=sight.of_triton(_JSON), bar=1.25),
        Target(text="JSON, 32 images a request / raw limit", found=sight.of_limit(_JSON_32), bar=0.85),
        Target(text="V2 binary, 64 connections / raw limit", found=sight.of_limit(_BINARY), bar=0.80),
        Target(text="V2 binary, 64 connections / Triton", found=sight.of_triton(_BINARY), bar=1.15),
        Target(text="gRPC Predict, 64 in flight / raw limit", found=sight.of_limit(_PREDICT), bar=0.58),
        Target(text="gRPC ModelInfer, 64 in flight / raw limit", found=sight.of_limit(_INFER), bar=0.58),
        Target(text="perceptron, JSON / best Python peer", found=sight.of_python(_TINY_JSON), bar=4.0),
        Target(text="perceptron, JSON / Triton", found=sight.of_triton(_TINY_JSON), bar=1.5),
        Target(text="perceptron, V2 binary / Triton", found=sight.of_triton(_TINY_BINARY), bar=1.0),
        _ceiling("JSON, 1 connection: median ms, raw batch of one + 0.25", sight.p50_ms("fairlead"), sight.one_ms()),
        _ceiling("JSON, 1 connection: median ms, Triton's", sight.p50_ms("fairlead"), sight.p50_ms("triton")),
        _ceiling("JSON, 1,000 connections: errors", sight.errors(_JSON_MANY), 0),
        _ceiling("exec to the first right answer, s", sight.started_s(), 0.8),
        _ceiling("memory of all processes after the load, MB", sight.resident_mb(), 150),
    ]


def _ceiling(text: str, found: float, bar: float) -> Target:
    return Target(text=text, found=found, bar=bar, is_ceiling=True)


class _Sight:
    """The run as the targets see it; NaN where it has no figure."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def of_limit(self, load: str) -> float:
        return self._rate("fairlead", load) / self._results.limit(load.partition(" ")[0])

    def of_python(self, load: str) -> float:
        return self._rate("fairlead", load) / self._best(PYTHON_PEERS, load)

    def of_triton(self, load: str) -> float:
        return self._rate("fairlead", load) / self._best(TRITONS, load)

    def p50_ms(self, server: str) -> float:
        sample = self._results.median(server, _JSON_ONE)
        return sample.p50_ms if sample else math.nan

    def one_ms(self) -> float:
        return 1e3 / self._results.limit(CNN.name, batch=1) + 0.25

    def errors(self, load: str) -> float:
        sample = self._results.median("fairlead", load)
        return sample.errors if sample else math.nan

    def started_s(self) -> float:
        found = self._results.servers.get("fairlead")
        return found.typical_start_s if found else math.nan

    def resident_mb(self) -> float:
        found = self._results.servers.get("fairlead")
        return found.typical_resident_mb if found else math.nan

    def _best(self, servers: Sequence[str], load: str) -> float:
        rates = [self._rate(server, load) for server in servers]
        return max((rate for rate in rates if rate > 0), default=math.nan)

    def _rate(self, server: str, load: str) -> float:
        sample = self._results.median(server, load)
        return sample.rate if sample else math.nan
