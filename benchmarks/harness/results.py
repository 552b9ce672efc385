"""What a run of the comparison found: every sample, as `docs/benchmarks.json` keeps it, and the medians of them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.load import Sample

__all__ = ["Found", "Results"]


@dataclass(kw_only=True)
class Found:
    """Of one server.

    Attributes:
        title, settings, versions: what was measured.
        started_s: from exec to the first right answer, a figure each round.
        resident_mb: memory of all its processes after the load, a figure each round.
        samples: by load, one each round.
        failure: why it could not be measured, or not to the end.
    """

    title: str
    settings: str
    versions: Mapping[str, str] = field(default_factory=dict)
    started_s: list[float] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failure: str | None = None

    @property
    def typical_start_s(self) -> float:
        """NaN when it never started."""
        return median(self.started_s) if self.started_s else math.nan

    @property
    def typical_resident_mb(self) -> float:
        """NaN when it was never loaded to the end."""
        return median(self.resident_mb) if self.resident_mb else math.nan


@dataclass(kw_only=True)
class Results:
    """Of one run.

    Attributes:
        machine: what it ran on.
        rounds, seconds: how often, and how long each load took each time.
        limits: images a second of ONNX Runtime alone, by network and batch size, a figure each round.
        servers: by name.
    """

    machine: Mapping[str, str]
    rounds: int
    seconds: int
    limits: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    servers: dict[str, Found] = field(default_factory=dict)

    def limit(self, network: str, batch: int | None = None) -> float:
        """Median images a second at a batch size, or at the best one."""
        medians = {int(rows): median(rates) for rows, rates in self.limits[network].items()}
        return max(medians.values()) if batch is None else medians[batch]

    def median(self, server: str, load: str) -> Sample | None:
        """Medians of a load's samples, with the sum of their errors; None when there are none."""
        samples = self.servers[server].samples.get(load) if server in self.servers else None
        if not samples:
            return None
        return Sample(
            rate=median(sample.rate for sample in samples),
            p50_ms=median(sample.p50_ms for sample in samples),
            p99_ms=median(sample.p99_ms for sample in samples),
            errors=sum(sample.errors for sample in samples),
        )

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> Results:
        """Read what `save` wrote."""
        data: dict[str, Any] = json.loads(path.read_text())
        servers = data.pop("servers")
        return Results(**data, servers={name: _found(**server) for name, server in servers.items()})


def _found(samples: Mapping[str, list[Mapping[str, Any]]], **rest: Any) -> Found:
    return Found(samples={load: [Sample(**sample) for sample in each] for load, each in samples.items()}, **rest)
