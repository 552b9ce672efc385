"""Models as users bring them, one of each kind, and what their originals say of rows that were not published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.conversion.pytorch import run_with_torch
from tests.mlflow_models import write_pickled
from xgboost import XGBClassifier

import fairlead
from fairlead.app.importing import import_model
from fairlead.config import Settings
from fairlead.servable.disposable import Limits
from fairlead.servable.signature import Array, Tensors

__all__ = ["KINDS", "Case"]

IRIS = load_iris()
DICE = np.random.default_rng(0)
WORDS = ["free", "PRIZE", "call", "Meet", "at", "noon", "£1000", "Grüße", "हिन्दी", "😀"]
TEXTS = [" ".join(DICE.choice(WORDS, 6)) for _ in range(100)]
PEOPLE = pd.DataFrame(
    {
        "age": DICE.integers(18, 80, 100),
        "hours-per-week": DICE.random(100) * 60,
        "job": DICE.choice(["Clerk", "Cook", "Pilot"], 100),
        "member": DICE.random(100) > 0.5,
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """Rows that a published model was not published with, and what its original says of them.

    Attributes:
        inputs: the rows, as clients send them.
        answers: what the original answers, in the shape of the only output.
    """

    inputs: Tensors
    answers: Array


def as_sent(table: Any) -> Tensors:
    """A table's columns as clients send them."""
    kinds = {"i": np.int64, "f": np.float32, "b": np.bool_, "O": object}
    return {name: table[name].to_numpy(kinds[table[name].dtype.kind]) for name in table}


def numbers(settings: Settings) -> Case:
    """A scikit-learn pipeline of numbers."""
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(IRIS.data[::2], IRIS.target[::2])
    fairlead.publish(model, name="numbers", sample=IRIS.data[::2], labels=list(IRIS.target_names), settings=settings)
    rows = IRIS.data[1::15]
    return Case(inputs={"x": rows.astype(np.float32)}, answers=model.predict_proba(rows))


def texts(settings: Settings) -> Case:
    """One of texts."""
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, ["ham", "spam"] * 50)
    fairlead.publish(model, name="texts", sample=TEXTS, settings=settings)
    rows = ["FREE prize", "", "noon at NOON  हिन्दी", "unknown"]
    return Case(inputs={"text": np.array(rows, object)}, answers=model.predict_proba(rows))


def columns(settings: Settings) -> Case:
    """One of a table, to a number."""
    encode = make_column_transformer(
        (StandardScaler(), ["age", "hours-per-week"]), (OneHotEncoder(), ["job", "member"])
    )
    model = make_pipeline(encode, Ridge()).fit(PEOPLE[:80], PEOPLE["age"][:80] * 1000.0)
    fairlead.publish(model, name="columns", sample=PEOPLE[:80], settings=settings)
    return Case(inputs=as_sent(PEOPLE[80:]), answers=model.predict(PEOPLE[80:]))


def boosted(settings: Settings) -> Case:
    """Trees of XGBoost."""
    model = XGBClassifier(n_estimators=10).fit(IRIS.data, IRIS.target)
    fairlead.publish(model, name="boosted", sample=IRIS.data[::2], settings=settings)
    rows = IRIS.data[1::15]
    return Case(inputs={"x": rows.astype(np.float32)}, answers=model.predict_proba(rows))


def trees(settings: Settings) -> Case:
    """Trees of LightGBM."""
    model = LGBMClassifier(n_estimators=5, min_child_samples=2, verbose=-1).fit(IRIS.data, IRIS.target)
    fairlead.publish(model, name="trees", sample=IRIS.data[::2], settings=settings)
    rows = IRIS.data[1::15]
    return Case(inputs={"x": rows}, answers=model.predict_proba(rows))


def network() -> Any:
    """A small network of Keras."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 1), name="image")
    hidden = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="probs")(hidden))


PICTURES = DICE.random((20, 6, 6, 1), np.float32)


def keras_network(settings: Settings) -> Case:
    """A network of Keras."""
    model = network()
    fairlead.publish(model, name="keras_network", sample=PICTURES[:10], labels=["a", "b", "c"], settings=settings)
    return Case(inputs={"image": PICTURES[10:]}, answers=model.predict(PICTURES[10:], verbose=0))


def saved_model(settings: Settings) -> Case:
    """A directory that Keras exported for TensorFlow Serving."""
    model = network()
    directory = settings.home.parent / "saved"
    model.export(directory, verbose=False)
    import_model(settings, directory, "saved_model", limits=Limits())
    return Case(inputs={"image": PICTURES[10:]}, answers=model.predict(PICTURES[10:], verbose=0))


def onnx_file(settings: Settings) -> Case:
    """A file from elsewhere, here from the version of another name."""
    file = settings.store_path / "keras_network" / "1" / "model.onnx"
    import_model(settings, file, "onnx_file", labels=("a", "b", "c"), limits=Limits())
    return Case(inputs={"image": PICTURES[10:]}, answers=network().predict(PICTURES[10:], verbose=0))


def torch(settings: Settings) -> Case:
    """A network of PyTorch."""
    kept = settings.home.parent / "torch.npz"
    run_with_torch(Path(__file__).with_name("publish_torch.py"), str(settings.home), str(kept))
    with np.load(kept, allow_pickle=False) as arrays:
        return Case(inputs={"input": arrays["rows"]}, answers=arrays["answers"])


def pyfunc(settings: Settings) -> Case:
    """A model directory of MLflow's with a pickle in it, which a process of its own serves."""
    table = load_iris(as_frame=True)
    model = make_pipeline(StandardScaler(), Ridge()).fit(table.data[::2], table.target[::2] * 0.5)
    directory = settings.home.parent / "pyfunc"
    write_pickled(directory, model, table.data[:5])
    import_model(replace(settings, python_models="on"), directory, "pyfunc", limits=Limits())
    rows = table.data[1::15]
    return Case(inputs={name: rows[name].to_numpy() for name in rows}, answers=model.predict(rows))


KINDS: dict[str, Callable[[Settings], Case]] = {
    made.__name__: made
    for made in (numbers, texts, columns, boosted, trees, keras_network, saved_model, onnx_file, torch, pyfunc)
}
