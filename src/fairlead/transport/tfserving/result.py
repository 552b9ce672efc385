"""What a prediction says as a classification or a regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fairlead.servable.json_array import text_of
from fairlead.servable.signature import Array
from fairlead.serving.predictor import Prediction
from fairlead.transport.invalid import invalid
from fairlead.transport.tfserving.method import classification_outputs, regression_output

__all__ = ["Classes", "read_classes", "read_values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Every class of every example.

    Attributes:
        labels: the classes' names, a list for each example; empty texts where they have none.
        scores: float [examples, classes].
    """

    labels: Sequence[Sequence[str]]
    scores: Array


def read_classes(prediction: Prediction) -> Classes:
    """The classes in the model's order; where it gives no scores they are 0.

    Raises:
        FairleadError: INVALID_ARGUMENT when an output is not [examples, classes].
    """
    outputs = classification_outputs(prediction.manifest.signature)
    tables = {role: _table(spec.name, prediction) for role, spec in outputs.items()}
    shape, *others = {table.shape for table in tables.values()}
    if others:
        raise invalid(f"classes and scores have the shapes {list(shape)} and {list(*others)}")
    scores = tables.get("scores", np.zeros(shape, np.float32))
    if "classes" in tables:
        return Classes(labels=[[text_of(label) for label in row] for row in tables["classes"].tolist()], scores=scores)
    names = prediction.manifest.labels
    return Classes(labels=[names if len(names) == shape[1] else ("",) * shape[1]] * shape[0], scores=scores)


def read_values(prediction: Prediction) -> Array:
    """One value for each example, float [examples].

    Raises:
        FairleadError: INVALID_ARGUMENT when the output has another size.
    """
    name = regression_output(prediction.manifest.signature).name
    values = prediction.outputs[name].ravel()
    if len(values) != prediction.rows:
        raise invalid(f"output {name!r} has {len(values)} values for {prediction.rows} examples")
    return values


def _table(name: str, prediction: Prediction) -> Array:
    array = prediction.outputs[name]
    if array.ndim != 2 or len(array) != prediction.rows:  # noqa: PLR2004 - [examples, classes]
        raise invalid(f"output {name!r} has shape {list(array.shape)}, which is not [{prediction.rows}, classes]")
    return array
