"""Parts that are worked on side by side."""

from __future__ import annotations

import random
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from fairlead.batch.job import Job
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec

from .conftest import WIDTH, answers, rows, write_parquet


class Fitful:
    """Gives each row's first value, after a while that says nothing about how many rows a run are best."""

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        time.sleep(random.random() * len(inputs["x"]) / 20_000)
        return {"first": inputs["x"][:, 0]}

    def close(self) -> None:
        """Nothing to free."""


def test_threads_lose_and_double_no_row_while_the_run_size_is_chosen(tmp_path: Path) -> None:
    """All parts begin at once; each row has its own answer, once."""
    values = rows(6400)
    manifest = Manifest(
        model="first",
        version=1,
        runtime="onnx",
        signature=Signature(
            inputs=(TensorSpec(name="x", dtype="float32", shape=(-1, WIDTH)),),
            outputs=(TensorSpec(name="first", dtype="float32", shape=(-1,)),),
        ),
        labels=(),
        files={},
        created_at=datetime.now(UTC),
    )
    job = Job(input=write_parquet(tmp_path / "rows.parquet", values), output=tmp_path / "out", part_rows=800, threads=8)

    counts = job.run(Fitful(), manifest, lambda _: None)

    assert counts.scored == 6400
    assert [(row["row"], row["outputs.first"]) for row in answers(tmp_path / "out")] == [
        *enumerate(values[:, 0].tolist())
    ]
