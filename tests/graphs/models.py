"""Small ONNX models that fit together."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper, save_model

from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.signature import Array, Tensors
from fairlead.store.writable_store import WritableStore

FLOAT, STRING = TensorProto.FLOAT, TensorProto.STRING


def tensor(name: str, kind: int, *shape: int | str) -> ValueInfoProto:
    """An input or an output."""
    return helper.make_tensor_value_info(name, kind, list(shape))


def publish_model(
    store: WritableStore,
    name: str,
    nodes: Sequence[NodeProto],
    *,
    takes: ValueInfoProto,
    gives: ValueInfoProto,
    sample: Tensors,
    weights: Mapping[str, Array] | None = None,
    labels: tuple[str, ...] = (),
) -> None:
    """Publish a model of these nodes as the next version of `name`, proven on the sample."""
    initial = [numpy_helper.from_array(array, key) for key, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), name, [takes], [gives], initial)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        save_model(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(directory / MODEL_FILE))
        servable, signature = open_model(directory / MODEL_FILE)
        Golden(inputs=sample, outputs=servable.predict(sample)).save(directory / GOLDEN_FILE)

        def describe(version: int, files: Mapping[str, str]) -> Manifest:
            return Manifest(
                model=name,
                version=version,
                runtime="onnx",
                signature=signature,
                labels=labels,
                files=files,
                created_at=datetime.now(UTC),
            )

        store.publish(name, {path.name: path for path in directory.iterdir()}, describe)


def publish_embedder(store: WritableStore) -> None:
    """`embedder`: of "good" it makes [1], of "bad" [-1], of any other text [0]."""
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["text"],
            ["flat"],
            domain="ai.onnx.ml",
            keys_strings=["good", "bad"],
            values_floats=[1.0, -1.0],
            default_float=0.0,
        ),
        helper.make_node("Unsqueeze", ["flat", "axes"], ["embedding"]),
    ]
    publish_model(
        store,
        "embedder",
        nodes,
        takes=tensor("text", STRING, "n"),
        gives=tensor("embedding", FLOAT, "n", 1),
        sample={"text": np.array(["good", "bad", "so"], object)},
        weights={"axes": np.array([1])},
    )


def publish_tagger(store: WritableStore) -> None:
    """`tagger`: of [x] the probabilities of "ham" and "spam", the sooner spam the less x is; of [0] none: 0 / 0."""
    nodes = [
        helper.make_node("Div", ["features", "features"], ["one"]),
        helper.make_node("Mul", ["features", "one"], ["same"]),
        helper.make_node("MatMul", ["same", "weights"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["probs"], axis=1),
    ]
    publish_model(
        store,
        "tagger",
        nodes,
        takes=tensor("features", FLOAT, "n", 1),
        gives=tensor("probs", FLOAT, "n", 2),
        sample={"features": np.array([[1], [-1]], np.float32)},
        weights={"weights": np.array([[2, -2]], np.float32)},
        labels=("ham", "spam"),
    )


def publish_referee(store: WritableStore, width: int = 20) -> None:
    """`referee`: of the probabilities of two digit models the mean of both, the second counting for three."""
    half = np.eye(10, dtype=np.float32)
    publish_model(
        store,
        "referee",
        [helper.make_node("MatMul", ["both", "weights"], ["probs"])],
        takes=tensor("both", FLOAT, "n", width),
        gives=tensor("probs", FLOAT, "n", 10),
        sample={"both": np.ones((2, width), np.float32)},
        weights={"weights": np.concatenate([half / 4, *[half * 3 / 4] * (width // 10 - 1)])},
        labels=tuple("0123456789"),
    )
