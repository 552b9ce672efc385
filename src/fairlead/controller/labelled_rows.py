"""Labelled predictions as rows to learn from, where the log keeps inputs."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import labels, payloads
from fairlead.training.dataset import Rows

__all__ = ["MOST_ROWS", "labelled_rows"]

MOST_ROWS = 100_000
_ROWS_AT_ONCE = 1_000


def labelled_rows(
    engine: Engine, model: str, known: tuple[str, ...], shape: tuple[int, ...], *, most: int = MOST_ROWS
) -> Rows:
    """The newest labelled predictions of `model` whose inputs were kept, at most `most`.

    Labels that are none of `known` and inputs of another shape, or with numbers that are none, are left out.

    Args:
        engine: a migrated database.
        model: its name.
        known: the labels, in the order of the classes.
        shape: of one row.
        most: how many at most.

    Raises:
        FairleadError: UNAVAILABLE when the database does not answer.
    """
    places = {label: place for place, label in enumerate(known)}
    inputs: list[NDArray[np.float32]] = []
    truth: list[int] = []
    for data, label in _kept(engine, model, most):
        row = _row(data, shape)
        if row is not None and label in places:
            inputs.append(row)
            truth.append(places[label])
    stacked = np.stack(inputs) if inputs else np.zeros((0, *shape), np.float32)
    return Rows(inputs=stacked, labels=np.array(truth, np.int64))


def _kept(engine: Engine, model: str, most: int) -> Iterator[tuple[bytes, str]]:
    query = (
        select(payloads.c.inputs, labels.c.label)
        .join(labels, labels.c.prediction_id == payloads.c.prediction_id)
        .where(payloads.c.model == model, labels.c.is_current)
        .order_by(payloads.c.at_us.desc(), payloads.c.prediction_id)
        .limit(most)
    )
    with database_errors(engine), reading(engine) as connection:
        for row in connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query):
            yield row.inputs, row.label


def _row(data: bytes, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """The only tensor, if it is such a row."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        if len(arrays.files) != 1:
            return None
        row = arrays[arrays.files[0]]
    if row.shape != shape or row.dtype.kind not in "fiub":
        return None
    numbers = row.astype(np.float32)
    return numbers if np.isfinite(numbers).all() else None
