"""`fairlead train` and `fairlead retrain` on a Ray cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.harness.ray_cluster import RayCluster
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store

from .conftest import Run, Start

RECIPE = '''
"""The nearest class mean of scikit-learn's digits; its epochs say who trains."""

import os
import time

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from .data import read


class Means:
    name = "means"
    labels = tuple("0123456789")
    transform = None

    def load(self, sources):
        return read()

    def split(self, dataset, seed):
        from fairlead.training.dataset import Split

        nothing = dataset.train.take(np.zeros(len(dataset.train), bool))
        return Split(train=dataset.train, validation=nothing, held_out=dataset.held_out)

    def train(self, split, run):
        run.params(kind="means")
        for number in range(1, run.epochs + 1):
            time.sleep(0.3)
            run.epoch(number, {"node": os.getppid()})
        (run.log_dir / "curves").mkdir(parents=True)
        (run.log_dir / "curves" / "events").write_bytes(b"curves")
        train = split.train
        means = np.stack([train.inputs[train.labels == digit].mean(axis=0) for digit in range(10)])
        return 2 * means.T, -(means**2).sum(axis=1)

    def predict(self, model, inputs):
        scores = inputs @ model[0] + model[1]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)

    def export(self, model, path):
        graph = helper.make_graph(
            [
                helper.make_node("Gemm", ["row", "w", "b"], ["scores"]),
                helper.make_node("Softmax", ["scores"], ["probs"]),
            ],
            "means",
            [helper.make_tensor_value_info("row", TensorProto.FLOAT, ["n", 64])],
            [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 10])],
            [numpy_helper.from_array(model[0], "w"), numpy_helper.from_array(model[1], "b")],
        )
        save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


recipe = Means()
'''
DATA = """
import numpy as np
from sklearn.datasets import load_digits

from fairlead.training.dataset import Dataset, Rows


def read():
    pixels, labels = load_digits(return_X_y=True)
    rows = Rows(inputs=(pixels / 16).astype(np.float32), labels=labels.astype(np.int64))
    held_out = np.arange(len(rows)) % 3 == 0
    return Dataset(train=rows.take(~held_out), held_out=rows.take(held_out), source="scikit-learn's digits")
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A user's recipe of two modules."""
    folder = tmp_path / "means"
    folder.mkdir()
    (folder / "recipe.py").write_text(RECIPE)
    (folder / "data.py").write_text(DATA)
    return folder


def test_training_on_a_node_that_dies_is_begun_anew_on_another(
    cluster: RayCluster, start: Start, recipe: Path, tmp_path: Path
) -> None:
    """The candidate is judged here: a gate that asks for more publishes nothing."""
    home = tmp_path / "home"
    with start("train", recipe, "--home", home, "--engine", "ray", "--json") as training:
        assert training.stderr
        node = next(found[1] for line in training.stderr if (found := re.search(r"epoch 1/.*node (\d+)", line)))
        cluster.kill_node(int(node))
        said, erred = training.communicate(timeout=120)
    cluster.add_node()

    assert training.returncode == 3, erred
    assert re.findall(r"epoch 1/.*node (\d+)", erred)[-1] != node
    outcome = json.loads(said)
    assert outcome["metrics"]["accuracy"] > 0.8
    assert outcome["version"] is None


def test_a_retraining_there_is_published_here(cluster: RayCluster, run: Run, recipe: Path, tmp_path: Path) -> None:
    """By the gate and the controller of every retraining; its curves come too."""
    home, config = tmp_path / "home", tmp_path / "config.json"
    config.write_text('{"accuracy_threshold": 0.7, "engine": "ray", "training_config": {"epochs": 1}}')

    done = run("retrain", recipe, "--home", home, "--config", config, "--json")

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["status"], said["version"]) == ("promoted", 1), said
    manifest = Store(home / "store").open(ServableId("means", 1)).manifest
    assert manifest.lineage["params"] == {"kind": "means"}
    assert [path.read_bytes() for path in (home / "tensorboard").rglob("events")] == [b"curves"]
