"""Labelled predictions become rows to learn from: pictures, texts and tables alike."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import Engine, insert

from fairlead.controller.labelled_rows import labelled_rows
from fairlead.database.engine import migrate
from fairlead.database.schema import labels, payloads
from fairlead.servable.npz import write_npz
from fairlead.training.dataset import Rows

KNOWN = ("ham", "spam")
NONE = np.zeros(0, np.int64)


def log(engine: Engine, *rows: tuple[Mapping[str, Any], str]) -> None:
    """Write rows of inputs, oldest first, with what was true of them."""
    migrate(engine)
    with engine.begin() as connection:
        for number, (inputs, label) in enumerate(rows):
            file = io.BytesIO()
            write_npz(file, inputs)
            id_ = f"id-{number}"
            values = {"prediction_id": id_, "at_us": number, "model": "m", "inputs": file.getvalue()}
            connection.execute(insert(payloads).values(values))
            truth = {"prediction_id": id_, "label": label, "at_us": number, "source": "test", "is_current": True}
            connection.execute(insert(labels).values(truth))


def test_pictures_of_the_right_shape_come_newest_first(engine: Engine) -> None:
    """Those of another shape, with a number that is none, or with a label that nobody knows stay out."""
    good, other = np.full((2, 2), 0.5, np.float32), np.full((2, 2), 0.25, np.float32)
    log(
        engine,
        ({"x": good}, "ham"),
        ({"x": other}, "spam"),
        ({"x": np.zeros(3, np.float32)}, "ham"),
        ({"x": good * np.nan}, "ham"),
        ({"x": good}, "eggs"),
        ({"x": good, "y": good}, "ham"),
        ({"x": "text"}, "ham"),
    )

    found = labelled_rows(engine, "m", KNOWN, Rows(inputs=np.zeros((0, 2, 2), np.float32), labels=NONE))

    assert found.labels.tolist() == [1, 0]
    assert found.inputs.dtype == np.float32
    np.testing.assert_array_equal(found.inputs, [other, good])


def test_texts_come_as_texts(engine: Engine) -> None:
    """Long or empty, and no numbers among them."""
    log(engine, ({"text": "free entry"}, "spam"), ({"text": ""}, "ham"), ({"text": np.float32(1)}, "ham"))

    found = labelled_rows(engine, "m", KNOWN, Rows(inputs=np.zeros(0, object), labels=NONE))

    assert (found.inputs.tolist(), found.labels.tolist()) == (["", "free entry"], [0, 1])


def test_tables_come_by_their_columns(engine: Engine) -> None:
    """Each in its own dtype; a row that lacks one stays out, and without any row there are columns of none."""
    like = Rows(inputs={"age": np.zeros(0, np.int64), "job": np.zeros(0, object)}, labels=NONE)
    log(engine, ({"age": np.int64(39), "job": "clerk"}, "ham"), ({"age": np.int64(50)}, "ham"))

    found = labelled_rows(engine, "m", KNOWN, like)
    nothing = labelled_rows(engine, "another", KNOWN, like)

    assert {name: array.tolist() for name, array in found.columns.items()} == {"age": [39], "job": ["clerk"]}
    assert found.columns["age"].dtype == np.int64
    assert (len(nothing), list(nothing.columns)) == (0, ["age", "job"])
