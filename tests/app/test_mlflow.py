"""Model directories that MLflow's own library wrote: taken in without Python where they can be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from onnx import TensorProto, helper

from fairlead.app.importing import import_model
from fairlead.app.intake import Intake
from fairlead.config import Settings
from fairlead.conversion.mlflow_model import read_mlflow_model
from fairlead.errors import Code, FairleadError
from fairlead.servable.disposable import Limits
from fairlead.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own."""
    return Settings(home=tmp_path / "home")


def taken(settings: Settings, directory: Path) -> Intake:
    """What importing it comes to."""
    return import_model(settings, directory, "m", limits=Limits())


def refusal(settings: Settings, directory: Path) -> FairleadError:
    """Why it is not taken; nothing of it is left."""
    with pytest.raises(FairleadError) as caught:
        taken(settings, directory)
    assert not Store(settings.store_path).models()
    return caught.value


def write_onnx_flavor(directory: Path) -> None:
    """A model of MLflow's ONNX flavour that doubles its input."""
    import mlflow.onnx

    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    mlflow.onnx.save_model(model, str(directory), pip_requirements=["onnx"])


def write_tensorflow_flavor(directory: Path) -> None:
    """The same of its TensorFlow flavour."""
    import mlflow.tensorflow

    example = np.zeros((1, 2), np.float32)
    module = tf.Module()
    module.__call__ = tf.function(lambda x: {"y": x * 2}, input_signature=[tf.TensorSpec([None, 2], tf.float32, "x")])
    signature = mlflow.models.infer_signature(example, {"y": example})
    mlflow.tensorflow.save_model(module, str(directory), signature=signature, pip_requirements=["tensorflow"])


def test_an_onnx_file_is_taken_as_what_it_is(settings: Settings, tmp_path: Path) -> None:
    """It needs nothing of MLflow's to be served."""
    write_onnx_flavor(tmp_path / "model")
    done = taken(settings, tmp_path / "model")

    assert done.is_released
    assert done.version is not None
    manifest = Store(settings.store_path).open(done.version).manifest
    assert manifest.runtime == "onnx"
    assert [(spec.name, spec.shape) for spec in manifest.signature.inputs] == [("x", (-1, 2))]


def test_a_saved_model_is_found(tmp_path: Path) -> None:
    """It is imported as any other SavedModel, which needs nothing of MLflow's either."""
    write_tensorflow_flavor(tmp_path / "model")
    plain = read_mlflow_model(tmp_path / "model").plain

    assert plain is not None
    assert (plain[1] / "saved_model.pb").is_file()


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (
            "flavors:\n  sklearn: {pickled_model: model.pkl}\n",
            Code.UNIMPLEMENTED,
            "has the flavours sklearn: none is an",
        ),
        ("flavors:\n  python_function: {}\n", Code.FAILED_PRECONDITION, "which only Python can load, and it may not"),
        ("flavors:\n  onnx: {data: ../model.onnx}\n", Code.FAILED_PRECONDITION, "names '../model.onnx', which is not"),
        ("flavors:\n  onnx: {data: none.onnx}\n", Code.FAILED_PRECONDITION, "names 'none.onnx', which is not beside"),
        ("flavors: [onnx]\n", Code.DATA_LOSS, "is no description of a model"),
        ("flavors: !!python/object/apply:os.abort []\n", Code.DATA_LOSS, "is no description of a model"),
        ("{" * 1200, Code.DATA_LOSS, "is no description of a model"),
    ],
)
def test_a_description_is_data(settings: Settings, tmp_path: Path, text: str, code: Code, said: str) -> None:
    """It names no file elsewhere, and runs nothing."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model.onnx").touch()
    (tmp_path / "model" / "MLmodel").write_text(text)

    error = refusal(settings, tmp_path / "model")
    assert error.code is code
    assert said in error.message
