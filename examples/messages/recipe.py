"""Ham or spam: short messages with pieces of words and logistic regression on scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.training.dataset import Dataset, Split
from fairlead.training.recipe import Sources
from fairlead.training.run import Run

from .data import LABELS, load_messages
from .pipeline import PARAMS, export_onnx, fit, probabilities

__all__ = ["Messages", "recipe"]


class Messages:
    """The recipe: one text to the probabilities of ham and spam."""

    name = "messages"
    labels = LABELS
    transform = None

    def load(self, sources: Sources) -> Dataset:
        return load_messages(sources)

    def split(self, dataset: Dataset, seed: int) -> Split:  # noqa: ARG002 - the port's
        """All rows are learnt: nothing is tuned while training goes on, so nothing has to be watched."""
        nothing = dataset.train.take(np.zeros(len(dataset.train), np.bool_))
        return Split(train=dataset.train, validation=nothing, held_out=dataset.held_out)

    def train(self, split: Split, run: Run) -> Any:
        run.params(**PARAMS)
        return fit(split.train.inputs, split.train.labels, run.seed)

    def predict(self, model: Any, inputs: NDArray[Any]) -> NDArray[np.float32]:
        return probabilities(model, inputs)

    def export(self, model: Any, path: Path) -> None:
        export_onnx(model, path)


recipe = Messages()
