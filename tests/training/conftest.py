"""A recipe without a framework: nearest class by brightness, exported as a small ONNX graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fairlead.training.dataset import Dataset, Rows, Split
from fairlead.training.recipe import Sources
from fairlead.training.run import Profile, Run

SLOPE = np.array([[-40.0, 0.0, 40.0]], np.float32)
OFFSET = np.array([12.0, 0.0, -28.0], np.float32)


class Shades:
    """Grey squares to dark, middle or light: the softmax of a line over the brightness."""

    name = "shades"
    labels = ("dark", "middle", "light")
    transform = None

    def __init__(self, *, scale: float = 1.0, outputs: int = 1) -> None:
        self.scale = scale
        self.outputs = outputs

    def load(self, sources: Sources) -> Dataset:
        return make_dataset()

    def split(self, dataset: Dataset, seed: int) -> Split:
        half = np.arange(len(dataset.train)) % 2 == 0
        return Split(train=dataset.train.take(half), validation=dataset.train.take(~half), held_out=dataset.held_out)

    def train(self, split: Split, run: Run) -> Any:
        run.params(slope=40)
        run.epoch(1, {"loss": 0.5})
        return SLOPE * np.float32(self.scale)

    def predict(self, model: Any, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = inputs.reshape(len(inputs), -1).mean(axis=1, keepdims=True) @ model + OFFSET
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    def export(self, model: Any, path: Path) -> None:
        names = [f"probs{number or ''}" for number in range(self.outputs)]
        graph = helper.make_graph(
            [
                helper.make_node("Flatten", ["square"], ["flat"]),
                helper.make_node("ReduceMean", ["flat", "axis"], ["brightness"], keepdims=1),
                helper.make_node("Gemm", ["brightness", "slope", "offset"], ["logits"]),
                *(helper.make_node("Softmax", ["logits"], [name]) for name in names),
            ],
            "shades",
            [helper.make_tensor_value_info("square", TensorProto.FLOAT, ["n", 2, 2])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in names],
            [
                numpy_helper.from_array(model, "slope"),
                numpy_helper.from_array(OFFSET, "offset"),
                numpy_helper.from_array(np.array([1], np.int64), "axis"),
            ],
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)


def make_rows(shades: list[float], labels: list[int]) -> Rows:
    """Squares of 2 x 2 of these shades."""
    inputs = np.repeat(np.array(shades, np.float32), 4).reshape(len(shades), 2, 2)
    return Rows(inputs=inputs, labels=np.array(labels, np.int64))


def make_dataset() -> Dataset:
    """Sixty squares to train on and thirty others held out, ten of each class."""
    labels = np.arange(90) % 3
    shades = np.array([0.1, 0.5, 0.9])[labels] + np.arange(90) / 1000
    rows = make_rows([float(shade) for shade in shades], [int(label) for label in labels])
    return Dataset(
        train=rows.take(np.arange(60)),
        held_out=rows.take(np.arange(60, 90)),
        source="squares made for a test",
        origin={"kind": "made up"},
    )


@pytest.fixture
def shades() -> Shades:
    """The recipe."""
    return Shades()


@pytest.fixture
def one_epoch(tmp_path: Path) -> Run:
    """A run of one epoch."""
    return Run(seed=3, profile=Profile(name="tiny", epochs=1), log_dir=tmp_path / "board")
