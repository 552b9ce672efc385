"""Models to score with, and the command that does it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from fairlead.cli.main import main
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.store.writable_store import WritableStore

Batch = Callable[..., subprocess.CompletedProcess[str]]
WIDTH = 4


def command(store: WritableStore, *words: object) -> list[str]:
    """`fairlead batch` as a user types it."""
    return [sys.executable, "-m", "fairlead.cli.main", "batch", *map(str, words), "--store", str(store.root)]


@pytest.fixture
def batch(store: WritableStore, capsys: pytest.CaptureFixture[str]) -> Batch:
    """Runs `fairlead batch` over the store to its end, in this process."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        arguments = command(store, *words)[3:]
        status = main(arguments)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, said.out, said.err)

    return run


@pytest.fixture
def table_store(store: WritableStore, tmp_path: Path) -> WritableStore:
    """A store whose model `sides` says whether the sum of a row of four numbers is above zero; version 1 serves."""
    publish_table(store, tmp_path)
    store.promote(ServableId("sides", 1), why="")
    return store


def publish_table(store: WritableStore, folder: Path, labels: Sequence[str] = ("below", "above")) -> None:
    """Publish a softmax of (-sum, sum); without labels it is no classifier."""
    from onnx import TensorProto, helper, numpy_helper, save_model

    weights = np.stack([-np.ones(WIDTH), np.ones(WIDTH)], axis=1).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["sums"]), helper.make_node("Softmax", ["sums"], ["probs"])],
        "sides",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    made = folder / "made"
    made.mkdir(exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    save_model(model, str(made / MODEL_FILE))
    servable, signature = open_model(made / MODEL_FILE)
    inputs = {"x": rows(3)}
    Golden(inputs=inputs, outputs=servable.predict(inputs)).save(made / GOLDEN_FILE)

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model="sides",
            version=version,
            runtime="onnx",
            signature=signature,
            labels=tuple(labels),
            files=files,
            created_at=datetime.now(UTC),
        )

    store.publish("sides", {path.name: path for path in made.iterdir()}, describe)


def rows(count: int) -> NDArray[np.float32]:
    """Rows of four numbers, the same ones each time."""
    return np.random.default_rng(7).normal(size=(count, WIDTH)).round(3).astype(np.float32)


def write_csv(path: Path, values: NDArray[np.float32]) -> Path:
    """One column a number."""
    names = ",".join(f"x{n}" for n in range(values.shape[1]))
    path.write_text("\n".join([names, *(",".join(map(str, row)) for row in values)]) + "\n")
    return path


def write_json_lines(path: Path, values: NDArray[np.float32]) -> Path:
    """One list a line, under the input's name."""
    path.write_text("".join(json.dumps({"x": row}) + "\n" for row in values.astype(float).round(3).tolist()))
    return path


def write_parquet(path: Path, values: NDArray[np.float32], group: int = 1000) -> Path:
    """One list column, in row groups of `group` rows."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    parquet.write_table(pa.table({"x": column}), path, row_group_size=group)
    return path


def answers(output: Path) -> list[dict[str, Any]]:
    """All answers in the order of the parts."""
    found: list[dict[str, Any]] = []
    for path in sorted(output.glob("part-*")):
        if path.suffix == ".parquet":
            found += parquet.read_table(path).to_pylist()
        elif path.suffix == ".csv":
            found += arrow_csv.read_csv(path).to_pylist()
        elif not path.name.endswith(".rejects.jsonl"):
            found += [json.loads(line) for line in path.read_text().splitlines()]
    return found


def rejects(output: Path) -> list[dict[str, Any]]:
    """All rejects in the order of the parts."""
    paths = sorted(output.glob("part-*.rejects.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]
