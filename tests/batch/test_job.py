"""Parts that are worked on side by side."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from fairlead.batch.executor import Threads
from fairlead.batch.job import Job
from fairlead.batch.parquet_source import ParquetSource
from fairlead.batch.pictures import PictureSource
from fairlead.errors import FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .conftest import WIDTH, answers, rows, write_parquet


class Fitful:
    """Gives each row's first value, after a while that says nothing about how many rows a run are best."""

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        time.sleep(random.random() * len(inputs["x"]) / 20_000)
        return {"first": inputs["x"][:, 0]}

    def close(self) -> None:
        """Nothing to free."""


SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=(-1, WIDTH)),),
    outputs=(TensorSpec(name="first", dtype="float32", shape=(-1,)),),
)


def test_threads_lose_and_double_no_row_while_the_run_size_is_chosen(tmp_path: Path) -> None:
    """All parts begin at once; each row has its own answer, once."""
    values = rows(6400)
    manifest = Manifest(
        model="first",
        version=1,
        runtime="onnx",
        signature=SIGNATURE,
        labels=(),
        files={},
        created_at=datetime.now(UTC),
    )
    job = Job(input=write_parquet(tmp_path / "rows.parquet", values), output=tmp_path / "out", part_rows=800)

    counts = job.run(manifest, Threads(Fitful(), 8), lambda _: None)

    assert counts.scored == 6400
    assert [(row["row"], row["outputs.first"]) for row in answers(tmp_path / "out")] == [
        *enumerate(values[:, 0].tolist())
    ]


def test_a_folder_that_goes_is_no_fault_of_its_pictures(store: WritableStore, picture: bytes, tmp_path: Path) -> None:
    """The part fails, and its pictures are not rejected."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture)
    (part,) = PictureSource(folder, publish_digit(store, "digits", 3).manifest).parts(10, ())
    assert part.decode
    shutil.rmtree(folder)

    with pytest.raises(FairleadError, match="there is no folder"):
        part.decode()


@pytest.mark.parametrize("group", [10_000, 400_000])
def test_what_was_read_of_a_parquet_file_is_let_go(tmp_path: Path, group: int) -> None:
    """Eight times the rows take no more memory while they are read, in many row groups or in one."""
    peaks, sizes = [], []
    for count in (50_000, 400_000):
        path = write_parquet(tmp_path / f"{count}.parquet", rows(count), group)
        before = pa.total_allocated_bytes()
        peaks.append(max(pa.total_allocated_bytes() - before for _ in ParquetSource(path, SIGNATURE).parts(2000, ())))
        sizes.append(path.stat().st_size)
    assert peaks[1] - peaks[0] < (sizes[1] - sizes[0]) / 10
