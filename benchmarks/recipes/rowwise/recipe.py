"""A small network on rows of 64 numbers, trained in two seconds: what is killed again and again should be quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, save_model
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from fairlead.training.dataset import Dataset, Rows, Split
from fairlead.training.recipe import Sources
from fairlead.training.run import Run


class Rowwise:
    """Scikit-learn's digits as rows of their pixels."""

    name = "rowwise"
    labels = tuple("0123456789")
    transform = None

    def load(self, _sources: Sources) -> Dataset:
        pixels, labels = load_digits(return_X_y=True)
        rows = Rows(inputs=(pixels / 16).astype(np.float32), labels=labels.astype(np.int64))
        held_out = np.arange(len(rows)) % 3 == 0
        return Dataset(train=rows.take(~held_out), held_out=rows.take(held_out), source="scikit-learn's digits")

    def split(self, dataset: Dataset, _seed: int) -> Split:
        nothing = dataset.train.take(np.zeros(len(dataset.train), np.bool_))
        return Split(train=dataset.train, validation=nothing, held_out=dataset.held_out)

    def train(self, split: Split, run: Run) -> MLPClassifier:
        model = MLPClassifier((128,), alpha=0.1, max_iter=60, random_state=run.seed, learning_rate_init=0.005)
        model.fit(split.train.inputs, split.train.labels)
        run.epoch(1, {"loss": float(model.loss_)})
        return model

    def predict(self, model: Any, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(model.predict_proba(inputs), np.float32)

    def export(self, model: Any, path: Path) -> None:
        weights = [numpy_helper.from_array(w.astype(np.float32), f"w{i}") for i, w in enumerate(model.coefs_)]
        biases = [numpy_helper.from_array(b.astype(np.float32), f"b{i}") for i, b in enumerate(model.intercepts_)]
        graph = helper.make_graph(
            [
                helper.make_node("Gemm", ["row", "w0", "b0"], ["h"]),
                helper.make_node("Relu", ["h"], ["r"]),
                helper.make_node("Gemm", ["r", "w1", "b1"], ["s"]),
                helper.make_node("Softmax", ["s"], ["probs"]),
            ],
            "rowwise",
            [helper.make_tensor_value_info("row", TensorProto.FLOAT, ["n", 64])],
            [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 10])],
            weights + biases,
        )
        save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


recipe = Rowwise()
