"""The one way from any protocol to a model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Tensors
from fairlead.serving.handle import Handle
from fairlead.serving.manager import Manager
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
    """Answers requests from whatever the manager holds.

    Args:
        manager: lends the versions.
        threads: how many requests are computed at once.
        max_in_flight: how many are held at once, those that wait included; more are refused.
    """

    def __init__(self, manager: Manager, *, threads: int, max_in_flight: int) -> None:
        self._manager = manager
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="predict")

    async def predict(self, target: Target, decode: Decode, *, outputs: Collection[str] | None = None) -> Prediction:
        """Pin the version that `target` means, decode the request for it, run it.

        Args:
            target: who should answer.
            decode: called with the pinned version's manifest in a worker thread.
            outputs: the names wanted; None for all.

        Raises:
            FairleadError: NOT_FOUND for an unknown model or a version that is not available, INVALID_ARGUMENT for an
                unknown label and for bad inputs, UNAVAILABLE when too many requests are in flight.
        """
        self._admit()
        handle = self._manager.acquire(target)
        self._in_flight += 1
        try:
            future = self._pool.submit(_run, handle, decode, outputs)
            # Bound to the work and not to the caller: a caller that goes away must not free what a thread still uses.
            future.add_done_callback(lambda _: handle.release())
            return await asyncio.wrap_future(future)
        finally:
            self._in_flight -= 1

    def close(self) -> None:
        """Let the threads go, once no request is left."""
        self._pool.shutdown()

    def _admit(self) -> None:
        if self._in_flight >= self._max_in_flight:
            raise FairleadError(
                Code.UNAVAILABLE,
                f"{self._in_flight} requests are in flight, the most this server holds",
                hint="try again shortly, or raise FAIRLEAD_MAX_IN_FLIGHT",
            )


def _run(handle: Handle, decode: Decode, outputs: Collection[str] | None) -> Prediction:
    inputs = decode(handle.manifest)
    handle.manifest.signature.check_inputs(inputs)
    answer = handle.servable.predict(inputs, outputs)
    first = next(iter(inputs.values()))
    return Prediction(manifest=handle.manifest, outputs=answer, rows=first.shape[0] if first.ndim else 1)
