"""The one way from any protocol to a model."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Tensors
from fairlead.serving.target import Target

__all__ = ["Decode", "Prediction", "Predictor"]

Decode = Callable[[Manifest], Tensors]
"""Turns a request's body into the pinned version's inputs; runs off the event loop and may raise FairleadError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one version answered.

    Attributes:
        manifest: of the version that answered.
        outputs: by name, in the signature's order.
        rows: how many rows were predicted.
    """

    manifest: Manifest
    outputs: dict[str, Array]
    rows: int


class Predictor:
    """Answers requests from whatever the manager holds."""

    async def predict(
        self, target: Target, decode: Decode, *, protocol: str, outputs: Collection[str] | None = None
    ) -> Prediction:
        """Pin the version that `target` means, decode the request for it, run it.

        Args:
            target: who should answer.
            decode: called with the pinned version's manifest in a worker thread.
            protocol: for the metrics: "tfserving" or "simple".
            outputs: the names wanted; None for all.

        Raises:
            FairleadError: NOT_FOUND for an unknown model or a version that is not available, INVALID_ARGUMENT for an
                unknown label and for bad inputs, RESOURCE_EXHAUSTED when too many requests are in flight.
        """
        raise NotImplementedError
