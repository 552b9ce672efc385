"""Several requests run as one batch, each answered as if it had been alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Signature, Tensors

__all__ = ["Decode", "Prediction", "can_batch", "run_together"]

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


def can_batch(signature: Signature) -> bool:
    """Whether rows of several requests can stand in one batch: every tensor's first axis is free."""
    return all(spec.shape[:1] == (-1,) for spec in (*signature.inputs, *signature.outputs))


def run_together(
    servable: Servable,
    manifest: Manifest,
    decodes: Sequence[Decode],
    outputs: Collection[str] | None,
    max_rows: int,
) -> list[Prediction | Exception]:
    """Answer each request, in as few runs of the model as `max_rows` allows.

    Requests whose rows have other shapes run apart. A request that cannot be decoded, or that the model refuses, fails
    alone: where a batch fails, its requests are run one by one.

    Args:
        servable: the version they are for.
        manifest: its manifest. Where its signature cannot be batched there is one request, and it is not run in parts.
        decodes: one a request.
        outputs: the names wanted by all of them; None for every output.
        max_rows: the largest batch; a larger request is run in parts.

    Returns:
        A prediction or the exception that the request gets, in the order of `decodes`.
    """
    limit = max_rows if can_batch(manifest.signature) else sys.maxsize
    decoded = [_decode(decode, manifest) for decode in decodes]
    good = {which: inputs for which, inputs in enumerate(decoded) if not isinstance(inputs, Exception)}
    answers: dict[int, Prediction | Exception] = {
        which: error for which, error in enumerate(decoded) if isinstance(error, Exception)
    }
    for group in _groups(good, limit):
        found = _run_group(servable, [good[which] for which in group], outputs, limit)
        for which, answer in zip(group, found, strict=True):
            answers[which] = _prediction(manifest, good[which], answer)
    return [answers[which] for which in range(len(decodes))]


def _decode(decode: Decode, manifest: Manifest) -> Tensors | Exception:
    try:
        inputs = decode(manifest)
        manifest.signature.check_inputs(inputs)
    except Exception as error:  # noqa: BLE001 - given to the one who asked
        return error
    return inputs


def _prediction(manifest: Manifest, inputs: Tensors, answer: dict[str, Array] | Exception) -> Prediction | Exception:
    if isinstance(answer, Exception):
        return answer
    return Prediction(manifest=manifest, outputs=answer, rows=_rows(inputs))


def _rows(inputs: Tensors) -> int:
    first = next(iter(inputs.values()))
    return int(first.shape[0]) if first.ndim else 1


def _groups(decoded: dict[int, Tensors], max_rows: int) -> Iterable[list[int]]:
    """The requests that can share a run: rows of one shape, `max_rows` at most unless one alone has more."""
    by_shape: dict[tuple[object, ...], list[int]] = {}
    for which, inputs in decoded.items():
        by_shape.setdefault(tuple((name, array.shape[1:]) for name, array in sorted(inputs.items())), []).append(which)
    for alike in by_shape.values():
        group: list[int] = []
        rows = 0
        for which in alike:
            size = _rows(decoded[which])
            if group and rows + size > max_rows:
                yield group
                group, rows = [], 0
            group.append(which)
            rows += size
        yield group


def _run_group(
    servable: Servable, requests: list[Tensors], outputs: Collection[str] | None, max_rows: int
) -> list[dict[str, Array] | Exception]:
    try:
        return _split(_run(servable, _join(requests), outputs, max_rows), [_rows(request) for request in requests])
    except Exception as error:  # noqa: BLE001 - given to the one who asked
        if len(requests) == 1:
            return [error]
        return [answer for request in requests for answer in _run_group(servable, [request], outputs, max_rows)]


def _join(requests: list[Tensors]) -> Tensors:
    if len(requests) == 1:
        return requests[0]
    return {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}


def _run(servable: Servable, inputs: Tensors, outputs: Collection[str] | None, max_rows: int) -> dict[str, Array]:
    rows = _rows(inputs)
    if rows <= max_rows:
        return servable.predict(inputs, outputs)
    parts = [
        servable.predict({name: array[start : start + max_rows] for name, array in inputs.items()}, outputs)
        for start in range(0, rows, max_rows)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _split(outputs: dict[str, Array], rows: list[int]) -> list[dict[str, Array] | Exception]:
    """Each request's own rows of every output.

    Raises:
        ValueError: when an output has not one row for each row that went in, whatever its signature says.
    """
    if len(rows) == 1:
        return [outputs]
    if wrong := [name for name, array in outputs.items() if array.shape[:1] != (sum(rows),)]:
        raise ValueError(f"outputs {wrong} do not have a row for each row of input")
    ends = np.cumsum(rows)
    return [
        {name: array[end - size : end] for name, array in outputs.items()}
        for size, end in zip(rows, ends.tolist(), strict=True)
    ]
