"""What every method starts from answers as the model does, and every operator of it can be named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fairlead.optimization.method import Source
from fairlead.optimization.pace import BATCHES, measure_pace
from fairlead.optimization.preparing import keep_metadata, prepare
from fairlead.optimization.quantization import int8_dynamic, int8_static
from fairlead.servable.runtimes.onnx import open_model


def array(*shape: int) -> Any:
    """Numbers, the same each time."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two dense layers of operators without names, after a reshape to what is computed from the batch."""
    constants = {"zero": np.array(0), "rest": np.array([256]), "axis": np.array([0])}
    constants |= {"wide": array(256, 64), "narrow": array(64, 4)}
    nodes = [
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "zero"], ["rows"]),
        helper.make_node("Unsqueeze", ["rows", "axis"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "wide"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "narrow"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(made, {"kept": "so"})
    onnx.save(made, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def answer(path: Path, rows: Any) -> Any:
    """What the serving runtime says."""
    return open_model(path)[0].predict({"x": rows})["y"]


def test_a_reshape_is_constant_and_the_answers_are_the_same(model: Path, tmp_path: Path) -> None:
    """For any batch; what computed the shape is gone, and no two operators have one name."""
    prepare(model, tmp_path / "prepared.onnx")
    nodes = onnx.load(tmp_path / "prepared.onnx").graph.node

    assert [node.op_type for node in nodes] == ["Reshape", "MatMul", "MatMul"]
    assert len({node.name for node in nodes}) == 3
    for rows in (1, 3):
        np.testing.assert_allclose(
            answer(tmp_path / "prepared.onnx", array(rows, 16, 16)), answer(model, array(rows, 16, 16)), rtol=1e-4
        )


@pytest.mark.parametrize("method", [int8_static, int8_dynamic])
def test_large_layers_are_quantised_though_nobody_named_them(method: Any, model: Path, tmp_path: Path) -> None:
    """The small one of 256 weights stays in floats where the ranges are known ahead; answers stay near."""
    prepare(model, tmp_path / "prepared.onnx")
    rows = array(64, 16, 16)
    method(Source(model=model, prepared=tmp_path / "prepared.onnx", calibration={"x": rows}), tmp_path / "made.onnx")
    keep_metadata(model, tmp_path / "made.onnx")
    made = onnx.load(tmp_path / "made.onnx")

    kinds = {tensor.name: tensor.data_type for tensor in made.graph.initializer}
    assert {TensorProto.INT8, TensorProto.UINT8} & set(kinds.values())
    assert (TensorProto.FLOAT in {kinds.get(name) for name in ("narrow",)}) is (method is int8_static)
    assert {prop.key: prop.value for prop in made.metadata_props} == {"kept": "so"}
    near, exact = answer(tmp_path / "made.onnx", rows), answer(model, rows)
    assert np.abs(near - exact).max() < 0.05 * np.abs(exact).max()


def test_a_pace_is_a_models_own_and_beside_the_first(model: Path, tmp_path: Path) -> None:
    """The first is as fast as itself."""
    first, again = measure_pace([model, model], {"x": array(2, 16, 16)}, tmp_path)

    assert set(first.speedup.values()) == {1.0}
    assert set(again.rows_per_s) == set(BATCHES)
    assert all(0.5 < factor < 2 for factor in again.speedup.values())
