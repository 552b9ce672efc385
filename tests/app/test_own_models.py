"""What users bring, of each kind: published from where it was trained, served, and asked over every protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tests.cli.clients import wait_until
from tests.cli.conftest import Server, starting
from tests.conversion.pytorch import run_with_torch
from tests.mlflow_models import write_pickled
from tritonclient import grpc
from xgboost import XGBClassifier

import fairlead
from fairlead.app.importing import import_model
from fairlead.config import Settings
from fairlead.servable.disposable import Limits
from fairlead.servable.signature import Array, Tensors

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
DATATYPES = {"float32": "FP32", "float64": "FP64", "int64": "INT64", "bool": "BOOL", "string": "BYTES"}
RTOL, ATOL = 1e-5, 1e-5


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


def network() -> Any:
    """A small network of Keras."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 1), name="image")
    hidden = keras.layers.Flatten()(keras.layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, keras.layers.Dense(3, activation="softmax", name="probs")(hidden))


PICTURES = DICE.random((20, 6, 6, 1), np.float32)


def keras_model(settings: Settings) -> Case:
    """A network of Keras."""
    model = network()
    fairlead.publish(model, name="keras_model", sample=PICTURES[:10], labels=["a", "b", "c"], settings=settings)
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
    file = settings.store_path / "keras_model" / "1" / "model.onnx"
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
    for made in (numbers, texts, columns, boosted, keras_model, saved_model, onnx_file, torch, pyfunc)
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home for all of them."""
    return Settings(home=tmp_path_factory.mktemp("own") / "home")


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    """What was published so far."""
    return {}


@pytest.fixture(scope="module")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of all of them, which takes in what is published while it runs."""
    settings.store_path.mkdir(parents=True)
    with starting(tmp_path_factory.mktemp("server")) as start:
        yield start(settings.store_path, "--workers", "1", "--python-models", "on")


@pytest.fixture(params=KINDS)
def case(
    request: pytest.FixtureRequest, settings: Settings, cases: dict[str, Case], server: Server
) -> tuple[str, Case]:
    """Each of them, published once, and up."""
    name = str(request.param)
    if name not in cases:
        cases[name] = KINDS[name](settings)
        server.wait_ready()
        wait_until(lambda: server.call("GET", f"/v2/models/{name}/ready")[0] == 200)
    return name, cases[name]


def instances(inputs: Tensors) -> list[Any]:
    """Rows as REST has them: values, or objects with a value for each input."""
    if len(inputs) == 1:
        return list(next(iter(inputs.values())).tolist())
    lists = {name: array.tolist() for name, array in inputs.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def datatype(array: Array) -> str:
    """What the Open Inference Protocol calls the dtype."""
    return DATATYPES["string" if array.dtype == object else array.dtype.name]


def over_v1(server: Server, name: str, inputs: Tensors) -> Any:
    """TensorFlow Serving's REST API."""
    body = json.dumps({"instances": instances(inputs)}).encode()
    status, answer = server.call("POST", f"/v1/models/{name}:predict", body)
    assert status == 200, answer
    return answer["predictions"]


def over_v2(server: Server, name: str, inputs: Tensors) -> Any:
    """The Open Inference Protocol's REST API."""
    tensors = [
        {"name": key, "shape": array.shape, "datatype": datatype(array), "data": array.ravel().tolist()}
        for key, array in inputs.items()
    ]
    status, answer = server.call("POST", f"/v2/models/{name}/infer", json.dumps({"inputs": tensors}).encode())
    assert status == 200, answer
    (output,) = answer["outputs"]
    return np.reshape(output["data"], output["shape"])


def over_grpc(server: Server, name: str, inputs: Tensors) -> Any:
    """Its gRPC API, by Triton's own client."""
    tensors = [grpc.InferInput(key, array.shape, datatype(array)) for key, array in inputs.items()]
    for tensor, array in zip(tensors, inputs.values(), strict=True):
        texts = np.array([text.encode() for text in array], object) if array.dtype == object else array
        tensor.set_data_from_numpy(texts)
    with grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        result = client.infer(name, tensors)
    (output,) = result.get_response().outputs
    return result.as_numpy(output.name)


def over_simple(server: Server, name: str, inputs: Tensors) -> Any:
    """`POST /predict`: of a classifier the probability of each class by its name."""
    body = json.dumps({"instances": instances(inputs)}).encode()
    status, answer = server.call("POST", f"/predict?model={name}", body)
    assert status == 200, answer
    if "outputs" in answer:
        (values,) = answer["outputs"].values()
        return values
    return [list(row["probabilities"].values()) for row in answer["predictions"]]


@pytest.mark.parametrize("ask", [over_v1, over_v2, over_grpc, over_simple])
def test_served_answers_are_the_originals(
    server: Server, case: tuple[str, Case], ask: Callable[[Server, str, Tensors], Any]
) -> None:
    """To rows that it was not published with, in every protocol."""
    name, expected = case
    got = np.asarray(ask(server, name, expected.inputs), np.float64)

    assert got.shape == expected.answers.shape
    np.testing.assert_allclose(got, expected.answers, rtol=RTOL, atol=ATOL)
