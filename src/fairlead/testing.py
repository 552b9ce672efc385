"""For tests, ours and yours: a tiny model that says who it is, and the contract every servable keeps.

Needs the `onnx` package (`pip install 'fairlead[tensorflow]'`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Signature, Tensors, TensorSpec
from fairlead.servable.transform import Handwriting
from fairlead.store.store import Version
from fairlead.store.writable_store import WritableStore

__all__ = ["DIGIT_SIGNATURE", "check_servable", "publish_digit", "write_digit_model"]

DIGIT_SIGNATURE = Signature(
    inputs=(TensorSpec(name="image", dtype="float32", shape=(-1, 28, 28, 1)),),
    outputs=(TensorSpec(name="probs", dtype="float32", shape=(-1, 10)),),
)


def write_digit_model(directory: Path, digit: int) -> None:
    """Write `model.onnx` and `golden.npz` of a model that answers `digit` to every picture.

    It is quite sure (91 %) and adds a hundredth of the picture's mean to class 0, so that rows differ.
    """
    from onnx import TensorProto, helper, save_model  # noqa: PLC0415 - a test dependency

    scores = np.full(10, 0.01, np.float32)
    scores[digit] = 0.91
    mark = np.zeros(10, np.float32)
    mark[0] = 0.01
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "last"], ["column"]),
            helper.make_node("Mul", ["column", "mark"], ["marked"]),
            helper.make_node("Add", ["marked", "scores"], ["probs"]),
        ],
        "digit",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 28, 28, 1])],
        [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["n", 10])],
        [
            helper.make_tensor("axes", TensorProto.INT64, [3], [1, 2, 3]),
            helper.make_tensor("last", TensorProto.INT64, [1], [1]),
            helper.make_tensor("mark", TensorProto.FLOAT, [10], mark),
            helper.make_tensor("scores", TensorProto.FLOAT, [10], scores),
        ],
    )
    save_model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(directory / MODEL_FILE)
    )
    images = np.linspace(0, 1, 3 * 784, dtype=np.float32).reshape(3, 28, 28, 1)
    probs = scores + images.mean(axis=(1, 2, 3), dtype=np.float32)[:, np.newaxis] * mark
    Golden(inputs={"image": images}, outputs={"probs": probs}).save(directory / GOLDEN_FILE)


def publish_digit(store: WritableStore, model: str, digit: int) -> Version:
    """Publish the model of `write_digit_model` as the next version of `model`; it is not released."""

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model=model,
            version=version,
            runtime="onnx",
            signature=DIGIT_SIGNATURE,
            labels=tuple("0123456789"),
            files=files,
            created_at=datetime.now(UTC),
            transform=Handwriting().to_json(),
            metrics={"accuracy": 0.1},
        )

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_digit_model(directory, digit)
        return store.publish(model, {path.name: path for path in directory.iterdir()}, describe)


def check_servable(servable: Servable, manifest: Manifest, inputs: Tensors) -> None:
    """Assert the contract of the Servable port on a few rows that fit the signature; closes the servable.

    Args:
        servable: freshly loaded.
        manifest: its manifest.
        inputs: at least two rows.
    """
    answer = servable.predict(inputs)
    rows = len(next(iter(inputs.values())))
    assert list(answer) == [spec.name for spec in manifest.signature.outputs], "all outputs, in the signature's order"
    for spec in manifest.signature.outputs:
        assert answer[spec.name].dtype == spec.numpy_dtype, f"{spec.name} has the signature's dtype"
        assert spec.admits(answer[spec.name].shape), f"{spec.name} has the signature's shape"
    for row in range(rows):
        alone = servable.predict({name: array[row : row + 1] for name, array in inputs.items()})
        for name, array in alone.items():
            if array.dtype.kind == "O":
                assert array[0] == answer[name][row], "a row alone"
            else:
                np.testing.assert_allclose(array[0], answer[name][row], rtol=1e-4, atol=1e-6, err_msg="a row alone")
    first = manifest.signature.outputs[0].name
    assert list(servable.predict(inputs, [first])) == [first], "only the outputs asked for"
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(lambda _: servable.predict(inputs), range(16)):
            np.testing.assert_array_equal(other[first], answer[first], err_msg="the same from any thread")
    servable.close()
