"""Rows of a table in batches: the same is taken and refused as by a server, row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.app.test_tabular import MODEL, RANGES, ROW
from tests.conversion.test_lightgbm import PEOPLE

import fairlead
from fairlead.config import Settings
from fairlead.store.writable_store import WritableStore

from .conftest import Batch, answers, rejects

ROWS: list[dict[str, Any]] = [
    ROW,
    ROW | {"job": None, "hours-per-week": None},
    ROW | {"job": "Astronaut"},
    ROW | {"age": 15},
    ROW | {"debt": None},
    ROW | {"job": "Cook"},
]
REASONS = [
    (2, "column 'job' is 'Astronaut', which is none of its categories"),
    (3, "column 'age' is 15, and the model takes 16 to 120"),
    (4, "column 'debt' is missing, and the model knows no missing values of it"),
]


def json_lines(path: Path) -> None:
    """With null for what is missing."""
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))


def cells(path: Path) -> None:
    """With nothing in the cell."""
    pd.DataFrame(ROWS).to_csv(path, index=False)


def parquet(path: Path) -> None:
    """With Arrow's own nulls, and categories in dictionaries."""
    pd.DataFrame(ROWS).astype({"job": "category"}).to_parquet(path)


@pytest.mark.parametrize(("kind", "write"), [("jsonl", json_lines), ("csv", cells), ("parquet", parquet)])
def test_a_column_takes_in_a_batch_what_it_takes_from_a_caller(
    store: WritableStore, batch: Batch, tmp_path: Path, kind: str, write: Any
) -> None:
    """What is missing may be where the model knows that; else the row is rejected with the column's reason."""
    assert store.root == tmp_path / "store"
    fairlead.publish(MODEL, name="people", sample=PEOPLE, ranges=RANGES, settings=Settings(home=tmp_path))
    write(tmp_path / f"rows.{kind}")
    done = batch("people", tmp_path / f"rows.{kind}", tmp_path / "out")

    assert done.returncode == 0, done.stderr
    found = answers(tmp_path / "out")
    assert [row["row"] for row in found] == [0, 1, 5]
    assert [(row["row"], row["reason"]) for row in rejects(tmp_path / "out")] == REASONS
    table = pd.DataFrame([ROWS[0], ROWS[1], ROWS[5]])
    want = MODEL.predict_proba(table.astype({"job": PEOPLE["job"].dtype, "hours-per-week": float}))
    np.testing.assert_allclose([row["proba"] for row in found], want.max(axis=1), atol=1e-6)
