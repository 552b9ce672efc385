"""A model that nobody knows is asked what its signature lets one ask, within limits."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, save_model

from fairlead.errors import FairleadError
from fairlead.servable.disposable import Limits
from fairlead.servable.first_load import load_first
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model

LIMITS = Limits(time_s=60.0, memory_bytes=2**29)


def write(
    directory: Path, kind: int, shape: list[Any], *nodes: tuple[str, list[str], list[str], dict[str, Any]]
) -> None:
    """A model of these operators from x to y."""
    graph = helper.make_graph(
        [helper.make_node(operator, takes, gives, **attributes) for operator, takes, gives, attributes in nodes],
        "test",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    save_model(model, str(directory / MODEL_FILE))


def reason(directory: Path) -> str:
    """Why the model is refused."""
    with pytest.raises(FairleadError) as caught:
        load_first(directory, LIMITS)
    return caught.value.message


@pytest.mark.parametrize(
    ("shape", "asked"),
    [(["n", 4], (3, 4)), ([2, 4], (2, 4)), (["n", "w"], (3, 1)), ([1, "h", "w"], (1, 1, 1)), ([], ())],
)
def test_numbers_are_asked_by_the_signature(tmp_path: Path, shape: list[Any], asked: tuple[int, ...]) -> None:
    """Three rows of a free batch; an axis of any length is one long, if the model takes that."""
    write(tmp_path, TensorProto.FLOAT, shape, ("Identity", ["x"], ["y"], {}))
    first = load_first(tmp_path, LIMITS)
    golden = Golden.load(tmp_path / GOLDEN_FILE)

    assert first.signature == open_model(tmp_path / MODEL_FILE)[1]
    assert first.cost.ms_per_row > 0
    assert first.difference == 0
    assert golden.inputs["x"].shape == asked
    np.testing.assert_array_equal(golden.outputs["y"], golden.inputs["x"])


def test_a_size_that_the_model_takes_is_found(tmp_path: Path) -> None:
    """A pooling of 16 by 16 takes no smaller pictures."""
    pool = ("AveragePool", ["x"], ["y"], {"kernel_shape": [16, 16]})
    write(tmp_path, TensorProto.FLOAT, ["n", 1, "h", "w"], pool)
    load_first(tmp_path, LIMITS)

    assert Golden.load(tmp_path / GOLDEN_FILE).inputs["x"].shape == (3, 1, 16, 16)


def test_whole_numbers_and_texts_are_asked_too(tmp_path: Path) -> None:
    """Small numbers, which most tables have; texts are kept without a pickle."""
    write(tmp_path, TensorProto.INT64, ["n"], ("Cast", ["x"], ["y"], {"to": TensorProto.FLOAT}))
    load_first(tmp_path, LIMITS)
    assert set(Golden.load(tmp_path / GOLDEN_FILE).inputs["x"].tolist()) <= {0, 1}

    mapping = {"keys_strings": ["sample"], "values_floats": [2.5], "domain": "ai.onnx.ml"}
    write(tmp_path, TensorProto.STRING, ["n"], ("LabelEncoder", ["x"], ["y"], mapping))
    load_first(tmp_path, LIMITS)
    golden = Golden.load(tmp_path / GOLDEN_FILE)
    assert golden.outputs["y"].tolist() == [2.5, 2.5, 2.5]
    assert golden.prove(open_model(tmp_path / MODEL_FILE)[0]) == 0


def test_answers_that_are_not_finite_prove_nothing(tmp_path: Path) -> None:
    """The output is named."""
    write(
        tmp_path, TensorProto.FLOAT, ["n"], ("Sub", ["x", "x"], ["zero"], {}), ("Div", ["zero", "zero"], ["y"], {})
    )  # fmt: skip

    assert reason(tmp_path) == "the model is refused: its output 'y' is not finite for the sample"


def test_a_model_that_answers_otherwise_each_time_is_refused(tmp_path: Path) -> None:
    """Nothing could prove that it is still itself."""
    write(tmp_path, TensorProto.FLOAT, ["n"], ("RandomNormalLike", ["x"], ["y"], {}))

    assert "golden output 'y' differs by" in reason(tmp_path)


def test_the_process_has_no_network() -> None:
    """Where the kernel gives it a namespace of its own."""
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this kernel lets nobody leave the network")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code = (
            "import socket\nfrom fairlead.servable.disposable import leave_the_network\nleave_the_network()\n"
            f"socket.create_connection(('127.0.0.1', {port}), 5)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "Network is unreachable" in done.stderr
