"""What a classifier's outputs say in words: the same for a request and for a row of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead.servable.json_array import text_of
from fairlead.servable.signature import Array, Tensors

__all__ = ["MEMBERS", "NOT_FINITE", "best_class", "class_scores", "spoken"]

MEMBERS = "members"
"""The output in which a graph says who spoke for each row."""

NOT_FINITE = "the model answered with a number that is not finite"


def class_scores(labels: Sequence[str], outputs: Tensors, rows: int) -> Array | None:
    """One probability a class for each row, [rows, classes]; None when these are no classifier's outputs."""
    first, *others = outputs.values()
    is_alone = not others or (MEMBERS in outputs and len(others) == 1)
    if not labels or not is_alone or first.dtype.kind != "f" or first.shape != (rows, len(labels)):
        return None
    return first


def best_class(labels: Sequence[str], scores: Array) -> dict[str, Any]:
    """The class with the highest of a row's scores, and all of them by the classes' names."""
    numbers = scores.tolist()  # whose greatest Python finds sooner than NumPy, where classes are few
    best = numbers.index(max(numbers))
    return {"label": labels[best], "proba": scores[best], "probabilities": dict(zip(labels, scores, strict=True))}


def spoken(outputs: Tensors, rows: int) -> list[dict[str, Any]]:
    """For each row who spoke, where the outputs are those of a graph; else nothing for each."""
    if MEMBERS not in outputs or outputs[MEMBERS].shape != (rows,):
        return [{}] * rows
    return [{MEMBERS: text_of(names)} for names in outputs[MEMBERS]]
