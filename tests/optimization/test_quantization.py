"""Which operators become integers: what is worth it, and what would otherwise lose more than the layers gain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fairlead.optimization.method import Source
from fairlead.optimization.preparing import prepare
from fairlead.optimization.quantization import int8_static
from fairlead.servable.runtimes.onnx import open_model


def array(*shape: int) -> Any:
    """Numbers, the same each time."""
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_a_pool_goes_with_the_layer_whose_relu_it_follows(tmp_path: Path) -> None:
    """The first convolution is small and stays in floats, and so do its Relu and its pool; the second one's do not."""
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["x", "small"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MaxPool", ["b"], ["c"], **pool),
        helper.make_node("Conv", ["c", "large"], ["d"]),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("MaxPool", ["e"], ["f"], **pool),
        helper.make_node("Flatten", ["f"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(array(16, 1, 3, 3), "small"),
        numpy_helper.from_array(array(64, 16, 3, 3), "large"),
    ]
    graph = helper.make_graph(
        nodes,
        "pools",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 14, 14])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 256])],
        constants,
    )
    model, prepared, made = (tmp_path / name for name in ("model.onnx", "prepared.onnx", "made.onnx"))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), model)
    rows = array(64, 1, 14, 14)

    prepare(model, prepared)
    int8_static(Source(model=model, prepared=prepared, calibration={"x": rows}), made)

    found = onnx.load(made).graph
    makers = {name: node.op_type for node in found.node for name in node.output}
    pools = [makers[node.input[0]] for node in found.node if node.op_type == "MaxPool"]
    assert pools == ["Relu", "DequantizeLinear"]
    assert [node.op_type for node in found.node].count("Relu") == 1
    exact = open_model(model)[0].predict({"x": rows})["y"]
    assert np.abs(open_model(made)[0].predict({"x": rows})["y"] - exact).max() < 0.05 * np.abs(exact).max()
