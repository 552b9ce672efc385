"""Handwritten digits with the classic Keras convolutional network on TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.servable.transform import Handwriting
from fairlead.training.dataset import Dataset, Rows, Split, row_digests
from fairlead.training.recipe import Sources
from fairlead.training.run import Run

from .data import load_digits
from .network import Plan, build, export_onnx, fit

__all__ = ["Digits", "recipe"]

_VALIDATION_SHARE = 1 / 30


class Digits:
    """The recipe: pictures of one digit to the probabilities of the ten."""

    name = "digits"
    labels = tuple("0123456789")
    transform = Handwriting()

    def load(self, sources: Sources) -> Dataset:
        return load_digits(sources)

    def split(self, dataset: Dataset, seed: int) -> Split:
        """A small validation set is cut from the training rows, the same share of each class."""
        train = _without(dataset.train, dataset.held_out)
        is_validation = _stratified(train.labels, _VALIDATION_SHARE, seed)
        return Split(train=train.take(~is_validation), validation=train.take(is_validation), held_out=dataset.held_out)

    def train(self, split: Split, run: Run) -> Any:
        plan = Plan.for_rows(len(split.train), run.epochs, run.batch_size)
        run.params(**plan.to_params())
        model = build(plan, run.seed)
        fit(model, split, plan, run)
        return model

    def predict(self, model: Any, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(model.predict(inputs, batch_size=256, verbose=0), np.float32)

    def export(self, model: Any, path: Path) -> None:
        export_onnx(model, path)


def _without(rows: Rows, others: Rows) -> Rows:
    """The rows whose input is none of the others'."""
    known = frozenset(row_digests(others))
    return rows.take(np.array([digest not in known for digest in row_digests(rows)], np.bool_))


def _stratified(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """A mask that picks this share of each class, at least one row of each that has two."""
    generator = np.random.default_rng(seed)
    picked = np.zeros(len(labels), np.bool_)
    for label in np.unique(labels):
        where = generator.permutation(np.flatnonzero(labels == label))
        picked[where[: min(max(1, round(len(where) * share)), len(where) - 1)]] = True
    return picked


recipe = Digits()
