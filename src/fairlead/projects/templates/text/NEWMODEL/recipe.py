"""How NEWMODEL is made: a text in, the probability of each class out.

`fairlead train NEWMODEL` calls the methods in the order in which they stand here, and the gate judges what comes of it.
scikit-learn is imported where it is used: the controller reads this file too, and stays small.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from fairlead.conversion.writing import write_onnx
from fairlead.gate.thresholds import Thresholds
from fairlead.servable.text_transform import plain_text
from fairlead.training.dataset import Dataset, Rows, Split, row_digests
from fairlead.training.recipe import Sources
from fairlead.training.run import Run
from numpy.typing import NDArray

LABELS = ("delivery", "payment", "return")
TEXT, TRUTH = "text", "topic"
"""The columns of the file: what was written, and what was true of it."""

HELD_OUT_OF_256 = 77


class Classifier:
    """The recipe. Texts, classes and the model are yours to change."""

    name = "NEWMODEL"
    labels = LABELS
    transform = None
    thresholds = Thresholds(min_accuracy=0.97, min_class_recall=0.90)
    """What the gate asks of the held-out rows; its other lines are where `fairlead.gate.thresholds` has them."""

    def load(self, sources: Sources) -> Dataset:
        """The texts beside this file. Whether one is held out depends on itself alone: no retraining ever learns it."""
        path = Path(__file__).with_name("rows.csv")
        with path.open(encoding="utf-8", newline="") as file:
            # Texts that the model cannot tell apart, such as "Hello" and "hello", are one row.
            labels = {plain_text(line[TEXT]): LABELS.index(line[TRUTH]) for line in csv.DictReader(file)}
        rows = Rows(inputs=np.array(list(labels), object), labels=np.array(list(labels.values()), np.int64))
        held_out = np.array([digest[0] < HELD_OUT_OF_256 for digest in row_digests(rows)])
        train, judged = rows.take(~held_out), rows.take(held_out)
        source = f"{path.name}: {len(train):,} texts to train on and {len(judged):,} held out"
        sources.say(source)
        return Dataset(train=train, held_out=judged, source=source)

    def split(self, dataset: Dataset, seed: int) -> Split:
        """All rows are learnt: nothing is tuned while training goes on, so nothing has to be watched."""
        nothing = dataset.train.take(np.zeros(len(dataset.train), np.bool_))
        return Split(train=dataset.train, validation=nothing, held_out=dataset.held_out)

    def train(self, split: Split, run: Run) -> Any:
        """A pipeline of scikit-learn that has learnt `split.train`."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        run.params(C=10.0, min_df=2)
        classifier = LogisticRegression(C=10.0, max_iter=1000, random_state=run.seed)
        return make_pipeline(TfidfVectorizer(min_df=2), classifier).fit(split.train.inputs, split.train.labels)

    def predict(self, model: Any, inputs: NDArray[Any]) -> NDArray[np.float32]:
        """What the model itself says; what is exported and served has to say the same."""
        return np.asarray(model.predict_proba(inputs), np.float32)

    def export(self, model: Any, path: Path) -> None:
        """The model as an ONNX file, which is what serves."""
        write_onnx(model, ["a text"], path)


recipe = Classifier()
