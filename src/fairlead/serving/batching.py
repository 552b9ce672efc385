"""Several requests run as one batch, each answered as if it had been alone. Pure: tensors in, tensors out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from fairlead.servable.servable import NoAnswerError
from fairlead.servable.signature import Array, Signature, Tensors
from fairlead.serving.run_size import parts_of

__all__ = ["Joined", "Model", "Outputs", "can_batch", "rows_of", "run_together"]

Outputs = dict[str, Array]


class Model(Protocol):
    """The part of a servable that is needed here."""

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> Outputs:
        """See `Servable.predict`."""


class Joined:
    """Requests whose rows have one shape, and so can stand in one batch.

    Args:
        requests: the tensors of each; one that cannot be batched is alone here.
    """

    __slots__ = ("_inputs", "requests")

    def __init__(self, requests: Sequence[Tensors]) -> None:
        self.requests = requests
        self._inputs: Tensors | None = None

    @property
    def inputs(self) -> Tensors:
        """The rows of all of them, in order. They are copied once, whoever asks."""
        if self._inputs is None:
            first, *others = self.requests
            self._inputs = (
                {name: np.concatenate([request[name] for request in self.requests]) for name in first}
                if others
                else first
            )
        return self._inputs


def can_batch(signature: Signature) -> bool:
    """Whether rows of several requests can stand in one batch: every tensor's first axis is free."""
    return all(spec.shape[:1] == (-1,) for spec in (*signature.inputs, *signature.outputs))


def rows_of(inputs: Tensors) -> int:
    """How many rows a request has; 1 where there is no batch to count."""
    first = next(iter(inputs.values()))
    return int(first.shape[0]) if first.ndim else 1


def run_together(
    model: Model, joined: Joined, outputs: Collection[str] | None, max_rows: int
) -> list[Outputs | Exception]:
    """Answer requests in one run.

    One that the model refuses fails alone: where a batch fails, its requests are run one by one, unless none of them is
    to blame.

    Args:
        model: the version they are for.
        joined: the requests.
        outputs: the names wanted by all of them; None for every output.
        max_rows: the largest run; what has more rows is run in even parts.

    Returns:
        The outputs or the exception that each request gets, in their order.
    """
    requests = joined.requests
    try:
        return _split(_run(model, joined.inputs, outputs, max_rows), [rows_of(request) for request in requests])
    except Exception as error:  # noqa: BLE001 - given to the one who asked
        if len(requests) == 1 or isinstance(error, NoAnswerError):
            return [error] * len(requests)
        return [answer for request in requests for answer in run_together(model, Joined([request]), outputs, max_rows)]


def _run(model: Model, inputs: Tensors, outputs: Collection[str] | None, max_rows: int) -> Outputs:
    rows = rows_of(inputs)
    if rows <= max_rows:
        return model.predict(inputs, outputs)
    count = parts_of(rows, max_rows)
    ends = [rows * part // count for part in range(count + 1)]
    parts = [
        model.predict({name: array[start:end] for name, array in inputs.items()}, outputs)
        for start, end in itertools.pairwise(ends)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _split(outputs: Outputs, rows: list[int]) -> list[Outputs | Exception]:
    """Each request's own rows of every output.

    Raises:
        ValueError: when an output has not one row for each row that went in, whatever its signature says.
    """
    if len(rows) == 1:
        return [outputs]
    if wrong := [name for name, array in outputs.items() if array.shape[:1] != (sum(rows),)]:
        raise ValueError(f"outputs {wrong} do not have a row for each row of input")
    answers: list[Outputs | Exception] = []
    end = 0
    for size in rows:
        start, end = end, end + size
        answers.append({name: array[start:end] for name, array in outputs.items()})
    return answers
