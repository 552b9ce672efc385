"""The networks that are served: built from a seed, so that every machine measures the same file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save_model

__all__ = ["CLASSES", "CNN", "HEAVY", "INPUT", "OUTPUT", "PERCEPTRON", "SHAPE", "Network", "decimals"]

INPUT, OUTPUT = "image", "probs"
SHAPE, CLASSES = (28, 28, 1), 10
_HIDDEN = 128


@dataclass(frozen=True, kw_only=True)
class Network:
    """A classifier of 28 x 28 images; its last layers are dense ones of 128 and 10.

    Attributes:
        name: the name it is served under.
        convolutions: channels of the 3 x 3 layers, which one 2 x 2 pooling follows; none for a perceptron.
    """

    name: str
    convolutions: tuple[int, ...] = ()

    def write(self, path: Path) -> None:
        """Write the ONNX file."""
        save_model(_model(self), str(path))

    def rows(self, count: int) -> NDArray[np.float32]:
        """Dense images: every pixel lies between 0 and 1, so that none is cheap to write or read for being zero."""
        rng = np.random.default_rng(count)
        return (rng.integers(1, 100_000, (count, *SHAPE)) / 100_000).astype(np.float32)


CNN = Network(name="cnn", convolutions=(32, 64))
"""The classic of the Keras examples for handwritten digits."""

PERCEPTRON = Network(name="perceptron")
"""784-128-10 over the same images: so small that the server around it is nearly all of the cost."""

HEAVY = Network(name="heavy", convolutions=(96, 192, 192))
"""Milliseconds an image, so that a generator on one core can offer ten times what a server on another can do."""


def decimals(rows: NDArray[np.float32]) -> list[Any]:
    """`Network.rows` as JSON carries them, `0.12345`: 9 kB an image."""
    nested: list[Any] = rows.astype(np.float64).round(5).tolist()
    return nested


def _model(network: Network) -> ModelProto:
    graph = _Graph()
    top, width = graph.convolve(network.convolutions)
    hidden = graph.node("Relu", graph.dense(top, width, _HIDDEN))
    graph.node("Softmax", graph.dense(hidden, _HIDDEN, CLASSES), output=OUTPUT)
    return graph.model(network)


class _Graph:
    """Nodes and their seeded weights, in the order in which they are added."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def node(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node; the name of its output."""
        name = output or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        """Add a constant; its name."""
        self._constants.append(numpy_helper.from_array(value, f"c{len(self._constants)}"))
        return str(self._constants[-1].name)

    def dense(self, top: str, width: int, units: int) -> str:
        """A dense layer without its activation."""
        return self.node("Gemm", top, self._weights(width, units, fan_in=width), self._weights(units, fan_in=width))

    def convolve(self, convolutions: tuple[int, ...]) -> tuple[str, int]:
        """Convolutions, pooling and flattening; the name and the width of what comes out."""
        side, _, channels = SHAPE
        top = self.node("Transpose", INPUT, perm=[0, 3, 1, 2])
        for filters in convolutions:
            kernel = self._weights(filters, channels, 3, 3, fan_in=9 * channels)
            bias = self._weights(filters, fan_in=9 * channels)
            top = self.node("Relu", self.node("Conv", top, kernel, bias, kernel_shape=[3, 3]))
            side, channels = side - 2, filters
        if convolutions:
            top, side = self.node("MaxPool", top, kernel_shape=[2, 2], strides=[2, 2]), side // 2
        width = side**2 * channels
        return self.node("Reshape", top, self.constant(np.array([-1, width], np.int64))), width

    def model(self, network: Network) -> ModelProto:
        """All of it, with a free batch."""
        image = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", *SHAPE])
        probs = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", CLASSES])
        graph = helper.make_graph(self._nodes, network.name, [image], [probs], self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)

    def _weights(self, *shape: int, fan_in: int) -> str:
        return self.constant((self._rng.standard_normal(shape) * math.sqrt(2 / fan_in)).astype(np.float32))
