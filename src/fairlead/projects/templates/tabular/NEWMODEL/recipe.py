"""How NEWMODEL is made: rows of a table in, the probability of each class out.

`fairlead train NEWMODEL` calls the methods in the order in which they stand here, and the gate judges what comes of it.
pandas and scikit-learn are imported where they are used: the controller reads this file too, and stays small.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from fairlead.conversion.writing import write_onnx
from fairlead.gate.thresholds import Thresholds
from fairlead.training.dataset import Dataset, Rows, Split, row_digests
from fairlead.training.recipe import Sources
from fairlead.training.run import Run
from numpy.typing import NDArray

LABELS = ("healthy", "worn")
TRUTH = "state"
"""The column of the file that says what was true."""
EXAMPLE = {"kind": "ball", "hours": 1200, "temperature": 61.5, "vibration": 2.4}
"""A row as callers send it. Its columns are the model's inputs, of these types."""
CATEGORIES = {"kind": ("ball", "roller", "sleeve")}
"""Every text that a column may hold; callers who send another are told so."""

HELD_OUT_OF_256 = 77


class Classifier:
    """The recipe. Columns, rows and the model are yours to change."""

    name = "NEWMODEL"
    labels = LABELS
    transform = None
    thresholds = Thresholds(min_accuracy=0.97, min_class_recall=0.90)
    """What the gate asks of the held-out rows; its other lines are where `fairlead.gate.thresholds` has them."""

    def load(self, sources: Sources) -> Dataset:
        """The rows beside this file. Whether one is held out depends on itself alone: no retraining ever learns it."""
        import pandas as pd

        path = Path(__file__).with_name("rows.csv")
        table = pd.read_csv(path).drop_duplicates(list(EXAMPLE))
        rows = Rows(
            inputs={column: _array(table[column], value) for column, value in EXAMPLE.items()},
            labels=np.array([LABELS.index(label) for label in table[TRUTH]], np.int64),
        )
        held_out = np.array([digest[0] < HELD_OUT_OF_256 for digest in row_digests(rows)])
        train, judged = rows.take(~held_out), rows.take(held_out)
        source = f"{path.name}: {len(train):,} rows to train on and {len(judged):,} held out"
        sources.say(source)
        return Dataset(train=train, held_out=judged, source=source)

    def split(self, dataset: Dataset, seed: int) -> Split:
        """All rows are learnt: nothing is tuned while training goes on, so nothing has to be watched."""
        nothing = dataset.train.take(np.zeros(len(dataset.train), np.bool_))
        return Split(train=dataset.train, validation=nothing, held_out=dataset.held_out)

    def train(self, split: Split, run: Run) -> Any:
        """A pipeline of scikit-learn that has learnt `split.train`."""
        from sklearn.compose import make_column_transformer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import OneHotEncoder, StandardScaler

        numbers = [column for column in EXAMPLE if column not in CATEGORIES]
        columns = make_column_transformer(
            (OneHotEncoder(categories=list(CATEGORIES.values())), list(CATEGORIES)), (StandardScaler(), numbers)
        )
        run.params(C=1.0)
        model = make_pipeline(columns, LogisticRegression(C=1.0, max_iter=1000, random_state=run.seed))
        return model.fit(_table(split.train.inputs), split.train.labels)

    def predict(self, model: Any, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """What the model itself says; what is exported and served has to say the same."""
        return np.asarray(model.predict_proba(_table(inputs)), np.float32)

    def export(self, model: Any, path: Path) -> None:
        """The model as an ONNX file, which is what serves."""
        write_onnx(model, _table({column: [value] for column, value in EXAMPLE.items()}), path)


def _array(column: Any, value: object) -> NDArray[Any]:
    """A column of the file as callers will send it."""
    kinds: dict[type, Any] = {str: object, int: np.int64, float: np.float32}
    return np.asarray(column, kinds[type(value)])


def _table(inputs: Mapping[str, Any]) -> Any:
    """Columns as the pipeline takes them."""
    import pandas as pd

    columns = {
        name: pd.Categorical(values, CATEGORIES[name]) if name in CATEGORIES else values
        for name, values in inputs.items()
    }
    return pd.DataFrame(columns)


recipe = Classifier()
