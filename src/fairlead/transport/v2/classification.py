"""The best classes of each row, as the classification extension writes them: `value:index:label`."""

from __future__ import annotations

import math

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Array, TensorSpec

__all__ = ["check_classifiable", "classify"]


def check_classifiable(spec: TensorSpec) -> None:
    """Raise INVALID_ARGUMENT unless the values of this output can be ranked."""
    if spec.numpy_dtype.kind not in "fiu":
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"class result not available for output {spec.name!r}: it is {spec.dtype}"
        )


def classify(array: Array, spec: TensorSpec, classes: int, labels: tuple[str, ...]) -> Array:
    """The best classes, best first and of equals the lower index first; NaN comes last.

    Args:
        array: the output.
        spec: what the signature says of it: with a batch, each row has its own ranking.
        classes: how many; no more than there are.
        labels: the classes' names, used when there is one for each.
    """
    has_batch = spec.shape[:1] == (-1,)
    rows = array.reshape(len(array) if has_batch else 1, math.prod(array.shape[has_batch:]))
    # Turned round without a change of type: -x for floats, and ~x for integers, where -x may not exist.
    order = np.argsort(-rows if rows.dtype.kind == "f" else ~rows, axis=1, kind="stable")[:, :classes]
    names = labels if len(labels) == rows.shape[1] else ()
    texts = [[_text(row[index], index, names) for index in best] for row, best in zip(rows, order, strict=True)]
    ranked = np.array(texts, object).reshape(order.shape)
    return ranked if has_batch else ranked[0]


def _text(value: np.generic, index: int, names: tuple[str, ...]) -> str:
    shown = f"{float(value.item()):.6f}" if value.dtype.kind == "f" else str(value.item())
    return f"{shown}:{index}:{names[index]}" if names else f"{shown}:{index}"
