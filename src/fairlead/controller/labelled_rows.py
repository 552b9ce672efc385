"""Labelled predictions as rows to learn from, where the log keeps inputs."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, select

from fairlead.database.engine import database_errors, reading
from fairlead.database.schema import labels, payloads
from fairlead.servable.npz import read_npz
from fairlead.training.dataset import Rows

__all__ = ["MOST_ROWS", "labelled_rows"]

MOST_ROWS = 100_000
_ROWS_AT_ONCE = 1_000


def labelled_rows(engine: Engine, model: str, known: tuple[str, ...], like: Rows, *, most: int = MOST_ROWS) -> Rows:
    """The newest labelled predictions of `model` whose inputs were kept, at most `most`.

    Labels that are none of `known` and inputs of another shape or kind, or with numbers that are none, are left out.

    Args:
        engine: a migrated database.
        model: its name.
        known: the labels, in the order of the classes.
        like: rows as they have to be.
        most: how many at most.

    Raises:
        FairleadError: UNAVAILABLE when the database does not answer.
    """
    places = {label: place for place, label in enumerate(known)}
    found: dict[str, list[NDArray[Any]]] = {name: [] for name in like.columns}
    truth: list[int] = []
    for data, label in _kept(engine, model, most):
        row = _row(data, like.columns)
        if row is not None and label in places:
            for name, array in row.items():
                found[name].append(array)
            truth.append(places[label])
    columns = {name: np.stack(arrays) if arrays else like.columns[name][:0] for name, arrays in found.items()}
    inputs = columns if isinstance(like.inputs, Mapping) else columns[""]
    return Rows(inputs=inputs, labels=np.array(truth, np.int64))


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


def _row(data: bytes, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]] | None:
    """The tensors of a row as these columns have them, if it is such a row."""
    found = read_npz(io.BytesIO(data))
    if "" in columns and len(found) == 1:
        found = {"": next(iter(found.values()))}
    if found.keys() != columns.keys():
        return None
    row = {name: _value(found[name], column) for name, column in columns.items()}
    known = {name: value for name, value in row.items() if value is not None}
    return known if len(known) == len(row) else None


def _value(value: NDArray[Any], column: NDArray[Any]) -> NDArray[Any] | None:
    """One row of one input in the column's dtype; None when it is none."""
    is_text = column.dtype.kind == "O"
    if value.shape != column.shape[1:] or value.dtype.kind not in ("O" if is_text else "fiub"):
        return None
    if is_text:
        return value
    numbers = value.astype(column.dtype)
    return numbers if np.isfinite(numbers).all() else None
