"""The loads that every server gets, as far as it speaks the protocol."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.harness.networks import CNN, PERCEPTRON, Network

__all__ = ["LOADS", "Load"]


@dataclass(frozen=True, kw_only=True)
class Load:
    """Clients that each send the same request again when it is answered.

    Attributes:
        network: whose images are asked for.
        kind: the protocol, an endpoint of `Server`.
        title: for the reader.
        connections: or calls in flight, for gRPC.
        rows: images a request.
        spells: how many times as long as the other loads it is kept up.
    """

    network: Network
    kind: str
    title: str
    connections: int = 64
    rows: int = 1
    spells: int = 1

    @property
    def key(self) -> str:
        return f"{self.network.name} {self.kind} {self.rows}x{self.connections}"


LOADS = (
    Load(network=CNN, kind="json", title="JSON, 1 connection", connections=1),
    Load(network=CNN, kind="json", title="JSON, 64 connections"),
    Load(network=CNN, kind="json", title="JSON, 1,000 connections", connections=1000, spells=6),
    Load(network=CNN, kind="json", title="JSON, 32 images a request, 8 connections", rows=32, connections=8),
    Load(network=CNN, kind="v2-json", title="V2 JSON, 64 connections"),
    Load(network=CNN, kind="v2-binary", title="V2 binary, 64 connections"),
    Load(network=CNN, kind="grpc-predict", title="gRPC Predict, 64 in flight"),
    Load(network=CNN, kind="grpc-infer", title="gRPC ModelInfer, 64 in flight"),
    Load(network=PERCEPTRON, kind="json", title="JSON, 64 connections"),
    Load(network=PERCEPTRON, kind="v2-binary", title="V2 binary, 64 connections"),
    Load(network=PERCEPTRON, kind="grpc-infer", title="gRPC ModelInfer, 64 in flight"),
)
