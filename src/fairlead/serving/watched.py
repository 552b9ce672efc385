"""What a version does with a batch: how long each run took, and which answers are no numbers."""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np

from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Tensors
from fairlead.serving.batching import rows_of

__all__ = ["Watched"]


class Watched:
    """Runs a servable for one batch and looks at what it answers, all rows at once. NaN and infinities are handed on.

    Attributes:
        runs: the rows of each run and its seconds.
        nonfinite: rows of outputs that hold a NaN or an infinity.
    """

    def __init__(self, servable: Servable) -> None:
        self._servable = servable
        self.runs: list[tuple[int, float]] = []
        self.nonfinite = 0

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        """What the servable answers."""
        began = time.monotonic()
        answer = self._servable.predict(inputs, outputs)
        self.runs.append((rows_of(inputs), time.monotonic() - began))
        for array in answer.values():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                self.nonfinite += int((~np.isfinite(np.atleast_1d(array))).any(axis=tuple(range(1, array.ndim))).sum())
        return answer
