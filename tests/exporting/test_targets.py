"""A version becomes what ONNX Runtime, MLflow and TensorFlow Serving load as it is, and answers the same there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper, save_model

from fairlead.app.exporting import export
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.exporting.targets import TARGETS
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.text_transform import PLAIN_TEXT, set_text_transform
from fairlead.store.writable_store import WritableStore

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of their libraries
ROWS = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)


def publish(store: WritableStore, folder: Path, *, text: bool = False) -> None:
    """A dense layer and a softmax over two classes, as tagger@1; or one that gives texts back."""
    folder.mkdir()
    dice = np.random.default_rng(1)
    kind, shape = (TensorProto.STRING, ["n"]) if text else (TensorProto.FLOAT, ["n", 4])
    nodes = (
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Shape", ["x"], ["size"])]
        if text
        else [helper.make_node("Gemm", ["x", "w", "b"], ["s"]), helper.make_node("Softmax", ["s"], ["y"])]
    )
    weights = [
        numpy_helper.from_array(dice.standard_normal(sizes).astype(np.float32), name)
        for name, sizes in (("w", (4, 2)), ("b", (2,)))
    ]
    outputs = [helper.make_tensor_value_info("y", kind, ["n"] if text else ["n", 2])]
    outputs += [helper.make_tensor_value_info("size", TensorProto.INT64, [1])] if text else []
    graph = helper.make_graph(
        nodes, "tagger", [helper.make_tensor_value_info("x", kind, shape)], outputs, [] if text else weights
    )
    path = folder / MODEL_FILE
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    if text:
        set_text_transform(path, PLAIN_TEXT)
    servable, signature = open_model(path)
    rows = {"x": np.array(["a"], object) if text else ROWS}
    answers = {name: array for name, array in servable.predict(rows).items() if array.dtype.kind != "O"}
    Golden(inputs=rows, outputs=answers).save(folder / GOLDEN_FILE)

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model="tagger",
            version=version,
            runtime="onnx",
            signature=signature,
            labels=() if text else ("ham", "späm"),
            files=files,
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    store.promote(store.publish("tagger", {file.name: file for file in folder.iterdir()}, describe).manifest.id, why="")


@pytest.fixture
def settings(store: WritableStore, tmp_path: Path) -> Settings:
    """A store with the tagger."""
    publish(store, tmp_path / "made")
    return Settings(home=tmp_path / "home", store=store.root)


def wanted(store: WritableStore) -> np.ndarray:
    """What the version answers."""
    servable, _ = open_model(store.root / "tagger" / "1" / MODEL_FILE)
    return servable.predict({"x": ROWS})["y"]


def test_onnx_is_one_file_that_says_whose_it_is(settings: Settings, store: WritableStore, tmp_path: Path) -> None:
    """It is loaded by ONNX Runtime alone, and has name, version and classes with it."""
    done = export(settings, "tagger", TARGETS["onnx"], tmp_path / "tagger.onnx")

    session = onnxruntime.InferenceSession(str(done.path))
    told = session.get_modelmeta().custom_metadata_map
    assert (done.rows, done.difference <= 1e-6) == (5, True)
    assert (told["model"], told["version"], json.loads(told["labels"])) == ("tagger", "1", ["ham", "späm"])
    np.testing.assert_allclose(session.run(["y"], {"x": ROWS})[0], wanted(store), atol=1e-6)


def test_mlflow_takes_the_directory(settings: Settings, store: WritableStore, tmp_path: Path) -> None:
    """As any model of its own, in another process, as a batch job of MLflow's would."""
    done = export(settings, "tagger", TARGETS["mlflow"], tmp_path / "tagger")

    program = (
        "import sys, json, numpy as np, mlflow.pyfunc; model = mlflow.pyfunc.load_model(sys.argv[1]);"
        "rows = np.array(json.loads(sys.argv[2]), np.float32);"
        "print(json.dumps([model.metadata.metadata, np.asarray(model.predict({'x': rows})['y']).tolist()]))"
    )
    asked = subprocess.run(
        [sys.executable, "-c", program, str(done.path), json.dumps(ROWS.tolist())],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told, answers = json.loads(asked.stdout.splitlines()[-1])
    assert told == {"model": "tagger", "version": 1, "labels": ["ham", "späm"]}
    np.testing.assert_allclose(answers, wanted(store), atol=1e-6)


@pytest.mark.slow
def test_tensorflow_serving_takes_the_directory(settings: Settings, store: WritableStore, tmp_path: Path) -> None:
    """As a base path: the version is in a folder of its number, with the signature that clients mean by default."""
    done = export(settings, "tagger@1", TARGETS["tfserving"], tmp_path / "tagger")

    import tensorflow as tf

    assert [path.name for path in done.path.iterdir()] == ["1"]
    serve = tf.saved_model.load(str(done.path / "1")).signatures["serving_default"]
    np.testing.assert_allclose(serve(x=tf.constant(ROWS))["y"].numpy(), wanted(store), atol=1e-6)


@pytest.mark.parametrize("target", ["onnx", "mlflow", "triton"])
def test_texts_that_are_made_plain_go_nowhere_else(store: WritableStore, tmp_path: Path, target: str) -> None:
    """No other system would do that, and its answers would look right; KServe has Fairlead do it."""
    publish(store, tmp_path / "made", text=True)
    settings = Settings(home=tmp_path / "home", store=store.root)

    with pytest.raises(FairleadError, match="which other systems do not") as caught:
        export(settings, "tagger", TARGETS[target], tmp_path / "out")

    assert caught.value.code is Code.UNIMPLEMENTED
    assert not (tmp_path / "out").exists()
    assert export(settings, "tagger", TARGETS["kserve"], tmp_path / "out").difference == 0
