"""A user's own model, without Keras and without pictures, by the same commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .test_up import run, up

RECIPE = '''
"""A small network on rows of 64 numbers, with scikit-learn."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from fairlead.training.dataset import Dataset, Rows, Split


class Rowwise:
    name = "rowwise"
    labels = tuple("0123456789")
    transform = None

    def load(self, sources):
        pixels, labels = load_digits(return_X_y=True)
        rows = Rows(inputs=(pixels / 16).astype(np.float32), labels=labels.astype(np.int64))
        held_out = np.arange(len(rows)) % 3 == 0
        return Dataset(train=rows.take(~held_out), held_out=rows.take(held_out), source="scikit-learn's digits")

    def split(self, dataset, seed):
        nothing = dataset.train.take(np.zeros(len(dataset.train), bool))
        return Split(train=dataset.train, validation=nothing, held_out=dataset.held_out)

    def train(self, split, run):
        model = MLPClassifier((64,), alpha=0.01, max_iter=60, random_state=run.seed, learning_rate_init=0.01)
        model.fit(split.train.inputs, split.train.labels)
        run.epoch(1, {"loss": model.loss_})
        return model

    def predict(self, model, inputs):
        return model.predict_proba(inputs).astype(np.float32)

    def export(self, model, path):
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
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder with a recipe in it."""
    (tmp_path / "rowwise").mkdir()
    (tmp_path / "rowwise" / "recipe.py").write_text(RECIPE)
    return tmp_path


@pytest.mark.slow
def test_up_trains_and_serves_a_users_own_recipe(folder: Path) -> None:
    """Rows in, labels out; there is nothing to try it with, and that is said."""
    server, said = up(folder, "./rowwise")

    status, answer = server.call("POST", "/predict", json.dumps({"instances": [[0.0] * 64, [0.5] * 64]}).encode())

    assert "nothing to try it with: rowwise@1 takes neither grey pictures nor texts nor named columns" in said
    assert (status, len(answer["predictions"]), answer["model"]) == (200, 2, "rowwise")
    status, answer = server.call("POST", "/predict", b"\x89PNG\r\n\x1a\n")
    assert (status, answer["error"]["code"]) == (400, "FAILED_PRECONDITION")
    assert server.stop() == 0


def test_a_folder_of_another_name_is_said(folder: Path) -> None:
    """`up` serves the model that the folder is named for."""
    (folder / "rowwise").rename(folder / "mine")

    done = run(folder, "up", "./mine", "--rest-port", "0", "--grpc-port", "0", "--management-port", "0")

    assert done.returncode == 1
    assert "the recipe ./mine trained a model of another name than 'mine'" in done.stderr


def test_a_recipe_that_breaks_is_said_with_its_line(folder: Path) -> None:
    """The user's file and line, and no traceback through ours."""
    (folder / "rowwise" / "recipe.py").write_text("import nosuchmodule\n")

    done = run(folder, "train", "./rowwise")

    assert done.returncode == 1
    assert "rowwise/recipe.py, line 1: ModuleNotFoundError" in done.stderr
    assert "Traceback" not in done.stderr
