"""Graphs over functions, without a store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fairlead.servable.graph.servable import GraphServable, Part
from fairlead.servable.graph.spec import GraphSpec
from fairlead.servable.identity import ServableId, parse_id
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.telemetry.graphs import GraphMetrics
from fairlead.telemetry.instruments import Instruments

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=(-1, 2)),),
    outputs=(TensorSpec(name="y", dtype="float32", shape=(-1, 2)),),
)
GRAPH_SIGNATURE = Signature(
    inputs=SIGNATURE.inputs, outputs=(*SIGNATURE.outputs, TensorSpec(name="members", dtype="string", shape=(-1,)))
)
PATIENT_MS = 10_000


@dataclass
class Fake:
    """A version that answers with what a function says of its rows.

    Attributes:
        asked: how many rows each question had.
        is_closed: whether the graph let it go.
    """

    say: Callable[[Array], Array]
    asked: list[int] = field(default_factory=list)
    is_closed: bool = False

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        self.asked.append(len(inputs["x"]))
        return {"y": self.say(inputs["x"])}

    def close(self) -> None:
        self.is_closed = True


def constant(*row: float) -> Fake:
    """A version that answers every row with the same."""
    return Fake(lambda x: np.tile(np.array(row, np.float32), (len(x), 1)))


def hanging(over: threading.Event) -> Fake:
    """A version that answers once that is set."""

    def say(x: Array) -> Array:
        assert over.wait(20)
        return np.zeros_like(x)

    return Fake(say)


def make_graph(
    kind: str, versions: Mapping[str, Fake], *, deadlines: Mapping[str, float] | None = None, **fields: Any
) -> tuple[GraphServable, Instruments]:
    """A graph of the versions, but for the fallback, which is no member where it is named `spare@1`; and its counts."""
    waits = deadlines or {}
    members = [{"version": name, "deadline_ms": waits.get(name, PATIENT_MS)} for name in versions if name != "spare@1"]
    for member, weight in zip(members, fields.pop("weights", []), strict=False):
        member["weight"] = weight
    spec = GraphSpec.from_json({"kind": kind, "members": members} | fields)
    parts = {
        parse_id(name): Part(servable=fake, signature=SIGNATURE, let_go=fake.close) for name, fake in versions.items()
    }
    instruments = Instruments()
    metrics = GraphMetrics(instruments)
    return GraphServable(ServableId("g", 1), spec, GRAPH_SIGNATURE, parts, metrics=metrics), instruments


def rows(*values: float) -> dict[str, Array]:
    """One row a value, which stands in it twice."""
    return {"x": np.array([[value, value] for value in values], np.float32)}
