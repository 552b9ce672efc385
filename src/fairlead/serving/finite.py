"""Answers that are no numbers: NaN and infinities are handed on, and counted."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Tensors

__all__ = ["FiniteCheck"]


class FiniteCheck:
    """Runs a servable for one batch and looks at what it answers, all rows at once.

    Attributes:
        failures: rows of outputs that hold a NaN or an infinity.
    """

    def __init__(self, servable: Servable) -> None:
        self._servable = servable
        self.failures = 0

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        """What the servable answers."""
        answer = self._servable.predict(inputs, outputs)
        for array in answer.values():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                self.failures += int((~np.isfinite(np.atleast_1d(array))).any(axis=tuple(range(1, array.ndim))).sum())
        return answer
