"""A version becomes a TFLite file that answers the same in TensorFlow's interpreter, or it is refused by name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fairlead.app.exporting import export
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.exporting.target import Source
from fairlead.exporting.targets import TARGETS
from fairlead.exporting.tensorflow_graph import OPERATORS
from fairlead.exporting.tflite import answers_of_tflite, write_tflite
from fairlead.servable.golden import Golden
from fairlead.servable.runtimes.onnx import open_model
from fairlead.store.store import Store
from fairlead.training.dataset import Rows
from fairlead.training.recipe import Sources, find_recipe
from fairlead.training.trainer import answers

pytestmark = [
    pytest.mark.slow,
    # Of TensorFlow's own, as it is imported and converts.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
ROOT = Path(__file__).parents[2]
Weights = NDArray[np.float32]
dice = np.random.default_rng(0)


def weights(*shape: int) -> Weights:
    """Random numbers."""
    return dice.standard_normal(shape).astype(np.float32)


IMAGE, ROW = (-1, 2, 6, 5), (-1, 4)
CASES: dict[str, tuple[tuple[int, ...], list[NDArray[Any]], dict[str, Any]]] = {
    "Add": (ROW, [weights(4)], {}),
    "Conv": (IMAGE, [weights(3, 2, 3, 3), weights(3)], {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    "Div": (ROW, [np.full(4, 3, np.float32)], {}),
    "Flatten": (IMAGE, [], {}),
    "Gemm": (ROW, [weights(3, 4), weights(3)], {"transB": 1, "alpha": 0.5, "beta": 2.0}),
    "GlobalAveragePool": (IMAGE, [], {}),
    "Identity": (ROW, [], {}),
    "MatMul": (ROW, [weights(4, 3)], {}),
    "MaxPool": (IMAGE, [], {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}),
    "Mul": (ROW, [weights(4)], {}),
    "Relu": (ROW, [], {}),
    "Reshape": (IMAGE, [np.array([-1, 5, 12], np.int64)], {}),
    "Sigmoid": (ROW, [], {}),
    "Softmax": (ROW, [], {}),
    "Sub": (ROW, [weights(4)], {}),
    "Tanh": (ROW, [], {}),
    "Transpose": (IMAGE, [], {"perm": [0, 3, 1, 2]}),
}


def source(
    folder: Path, operator: str, shape: tuple[int, ...], more: list[NDArray[Any]], told: dict[str, Any]
) -> Source:
    """A model of one operator, with what ONNX Runtime answers to three rows."""
    constants = [numpy_helper.from_array(array, f"c{at}") for at, array in enumerate(more)]
    node = helper.make_node(operator, ["x", *(tensor.name for tensor in constants)], ["y"], **told)
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape[1:]])
    found = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], operator, [given], [found], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path = folder / "model.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(made), path)
    servable, signature = open_model(path)
    inputs = {"x": weights(3, *shape[1:])}

    class Manifest:
        """What is asked of one here."""

        def __init__(self) -> None:
            self.signature = signature

    golden = Golden(inputs=inputs, outputs=servable.predict(inputs))
    return Source(manifest=Manifest(), directory=folder, golden=golden, prepare=lambda: path)  # type: ignore[arg-type]


def test_every_operator_that_is_translated_is_tried() -> None:
    """None is added without a case below."""
    assert set(CASES) == set(OPERATORS)


@pytest.mark.parametrize("operator", CASES)
def test_an_operator_answers_in_tflite_what_it_answers_in_onnx(operator: str, tmp_path: Path) -> None:
    """On random rows, to 1e-4."""
    assert write_tflite(source(tmp_path, operator, *CASES[operator]), tmp_path / "made.tflite") < 1e-5


@pytest.mark.parametrize(
    ("operator", "shape", "more", "told", "what"),
    [
        ("Erf", ROW, [], {}, "the operator Erf"),
        ("Conv", IMAGE, [weights(2, 1, 3, 3)], {"group": 2}, "a convolution in groups"),
        ("MaxPool", IMAGE, [], {"kernel_shape": [2, 2], "ceil_mode": 1}, "pooling with gaps"),
        ("Reshape", IMAGE, [np.array([0, -1], np.int64)], {}, "a reshape to what is only known"),
    ],
)
def test_what_is_not_translated_is_named(
    tmp_path: Path, operator: str, shape: tuple[int, ...], more: list[Any], told: dict[str, Any], what: str
) -> None:
    """Rather than written and wrong."""
    with pytest.raises(FairleadError, match=what) as caught:
        write_tflite(source(tmp_path, operator, shape, more, told), tmp_path / "made.tflite")

    assert caught.value.code is Code.UNIMPLEMENTED


def test_a_file_that_answers_otherwise_is_refused(tmp_path: Path) -> None:
    """Its golden rows say so."""
    right = source(tmp_path, "Relu", *CASES["Relu"])
    wrong = Golden(inputs=right.golden.inputs, outputs={"y": right.golden.outputs["y"] + 0.01})
    told = Source(manifest=right.manifest, directory=tmp_path, golden=wrong, prepare=right.prepare)

    with pytest.raises(FairleadError, match=r"answers otherwise: golden output .y. differs by 0\.01"):
        write_tflite(told, tmp_path / "made.tflite")


@pytest.fixture
def run(mnist_store: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `fairlead export` on a network that was trained on MNIST."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "fairlead.cli.main", "export", *arguments]
        return subprocess.run(
            [*command, "--store", str(mnist_store), "--home", str(tmp_path / "home")],
            env={name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def test_trained_digits_answer_in_tflite_as_they_are_served(
    run: Callable[..., subprocess.CompletedProcess[str]], mnist_store: Path, real_data: Path, tmp_path: Path
) -> None:
    """A thousand test images, in one batch, and as the page shows it; what is there already is not written over."""
    done = run("digits@champion", "--to", "tflite", "--json")

    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["version"], told["path"], told["rows"]) == ("digits@1", "digits-1.tflite", 8)
    dataset = find_recipe("digits").load(Sources(data_dir=real_data, cache_dir=tmp_path, say=lambda line: None))
    rows: Rows = dataset.held_out.take(np.arange(1000))
    found = answers_of_tflite(tmp_path / "digits-1.tflite", {"image": rows.inputs})
    expected = answers(mnist_store / "digits" / "1" / "model.onnx", rows)
    assert np.abs(found["probs"] - expected).max() < 1e-5

    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
    subprocess.run([sys.executable, "-c", snippet], cwd=tmp_path, check=True, timeout=60)

    again = run("digits", "--to", "tflite")
    assert again.returncode == 1
    assert "digits-1.tflite is there already" in again.stderr


def test_nothing_is_left_of_an_export_that_failed(store: Any, tmp_path: Path) -> None:
    """Not a file that somebody might ship."""
    from fairlead.testing import publish_digit

    id_ = publish_digit(store, "digits", 3).manifest.id
    settings = Settings.read({}, home=str(tmp_path / "home"), store=str(store.root))
    failing = TARGETS["tflite"]

    def write(source: Source, path: Path) -> float:
        path.write_bytes(b"half")
        raise FairleadError(Code.INTERNAL, "no more room")

    with pytest.raises(FairleadError, match="no more room"):
        export(settings, str(id_), type(failing)(name="half", suffix=".half", write=write), tmp_path / "made.half")

    assert not (tmp_path / "made.half").exists()
    assert not list((tmp_path / "home" / "work").iterdir())
    assert Store(store.root).versions("digits") == (1,)
