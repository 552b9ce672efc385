"""A recipe that trains in a second, and a pipeline around it with a real store and a real registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine
from tests.database.postgres import PostgresServer, postgres_server

from fairlead.controller.pipeline import Pipeline
from fairlead.database.engine import migrate, open_engine
from fairlead.gate.thresholds import Thresholds
from fairlead.servable.transform import Handwriting, PictureTransform
from fairlead.store.writable_store import WritableStore
from fairlead.training.dataset import Dataset, Rows, Split
from fairlead.training.recipe import Sources
from fairlead.training.registry import Registry
from fairlead.training.run import Run

Weights = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Centroids:
    """Nearest class mean on scikit-learn's digits, as a softmax of a linear layer: real, small and quick.

    `spoil` may change the data set before it is split; `skew` is added to the exported weights alone.
    """

    name: str = "digits"
    labels: tuple[str, ...] = tuple("0123456789")
    transform: PictureTransform = field(default_factory=Handwriting)
    spoil: Callable[[Dataset], Dataset] = lambda dataset: dataset
    skew: float = 0.0
    sharpness: float = 0.1

    def load(self, sources: Sources) -> Dataset:
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        inputs = np.zeros((len(pixels), 28, 28, 1), np.float32)
        inputs[:, 2:26, 2:26, 0] = (pixels.reshape(-1, 8, 8) / 16).repeat(3, axis=1).repeat(3, axis=2)
        inputs = inputs + np.linspace(0, 1e-6, len(inputs), dtype=np.float32).reshape(-1, 1, 1, 1)  # no two rows equal
        rows = Rows(inputs=inputs.astype(np.float32), labels=labels.astype(np.int64))
        is_held_out = np.arange(len(rows)) % 3 == 0
        sources.say("the digits of scikit-learn")
        return self.spoil(
            Dataset(
                train=rows.take(~is_held_out), held_out=rows.take(is_held_out), source="bundled", origin={"n": 1797}
            )
        )

    def split(self, dataset: Dataset, seed: int) -> Split:
        order = np.random.default_rng(seed).permutation(len(dataset.train))
        return Split(
            train=dataset.train.take(order[:-50]),
            validation=dataset.train.take(order[-50:]),
            held_out=dataset.held_out,
        )

    def train(self, split: Split, run: Run) -> Weights:
        flat = split.train.inputs.reshape(len(split.train), -1)
        means = np.stack([flat[split.train.labels == digit].mean(axis=0) for digit in range(10)])
        run.params(kind="centroids")
        run.epoch(1, {"loss": 0.5})
        return (2 * self.sharpness * means.T).astype(np.float32), -self.sharpness * (means**2).sum(axis=1)

    def predict(self, model: Any, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        scores = inputs.reshape(len(inputs), -1) @ model[0] + model[1]
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    def export(self, model: Any, path: Path) -> None:
        from onnx import TensorProto, helper, numpy_helper, save_model

        weights, bias = model
        graph = helper.make_graph(
            [
                helper.make_node("Flatten", ["image"], ["flat"]),
                helper.make_node("Gemm", ["flat", "weights", "bias"], ["scores"]),
                helper.make_node("Softmax", ["scores"], ["probs"]),
            ],
            "centroids",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 28, 28, 1])],
            [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 10])],
            [numpy_helper.from_array(_skewed(weights, self.skew), "weights"), numpy_helper.from_array(bias, "bias")],
        )
        save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))


def _skewed(weights: NDArray[np.float32], skew: float) -> NDArray[np.float32]:
    changed = weights.copy()
    changed[:, 0] += skew
    return changed


@dataclass
class Bench:
    """A pipeline's surroundings, and what it said."""

    store: WritableStore
    registry: Registry
    home: Path
    said: list[str]

    def pipeline(self, recipe: Any = None, **changes: Any) -> Pipeline:
        """A pipeline for `recipe` whose gate asks for 85 %, which class means reach."""
        pipeline = Pipeline(
            recipe=recipe or Centroids(),
            store=self.store,
            registry=self.registry,
            home=self.home,
            sources=Sources(data_dir=None, cache_dir=self.home / "data", say=self.said.append),
            thresholds=Thresholds(min_accuracy=0.85, min_class_recall=0.6),
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            say=self.said.append,
        )
        return replace(pipeline, **changes)


@pytest.fixture
def bench(store: WritableStore, tmp_path: Path) -> Bench:
    """An empty store and a registry of SQLite and local files."""
    home = tmp_path / "home"
    registry = Registry(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")
    return Bench(store=store, registry=registry, home=home, said=[])


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with its tables, on either kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'fairlead.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("server")
        url = server.url(server.database())
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """That database, opened."""
    engine = open_engine(database_url)
    yield engine
    engine.dispose()
