"""The graph of an ONNX file as a function of TensorFlow's, for the operators of plain networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Signature

__all__ = ["OPERATORS", "tensorflow_function"]

_LEAST_OPSET = 13
_OWN = ("", "ai.onnx")

Attributes = Mapping[str, Any]
Translate = Callable[[Any, Sequence[Any], Attributes], Any]
"""TensorFlow, an operator's inputs (None for one that is left out) and its attributes, to its output."""


def tensorflow_function(tf: Any, path: Path, signature: Signature) -> Any:
    """A `tf.function` that answers as the ONNX file at `path`: a tensor for each input, a dictionary of the outputs.

    Args:
        tf: TensorFlow.
        path: the file; shapes that are computed from others are to be constant (`optimization.preparing`).
        signature: what it takes and gives.

    Raises:
        FairleadError: UNIMPLEMENTED naming the first operator, or the use of one, that is not translated.
    """
    import onnx  # noqa: PLC0415 - part of an extra
    from onnx import numpy_helper  # noqa: PLC0415 - part of an extra

    model = onnx.load(path)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = next((opsets[domain] for domain in _OWN if domain in opsets), 0)
    if opset < _LEAST_OPSET:
        raise _unknown(f"operators of ONNX's version {opset}; {_LEAST_OPSET} and later are known")
    nodes = [_node(onnx, node) for node in model.graph.node]
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    def answer(*tensors: Any) -> dict[str, Any]:
        known: dict[str, Any] = {"": None, **constants}
        known |= {spec.name: tensor for spec, tensor in zip(signature.inputs, tensors, strict=True)}
        for operator, inputs, output, attributes in nodes:
            known[output] = OPERATORS[operator](tf, [known[name] for name in inputs], attributes)
        return {spec.name: tf.identity(known[spec.name]) for spec in signature.outputs}

    shapes = [
        tf.TensorSpec([None if size < 0 else size for size in spec.shape], spec.numpy_dtype, name=spec.name)
        for spec in signature.inputs
    ]
    return tf.function(answer, input_signature=shapes, autograph=False)


def _node(onnx: Any, node: Any) -> tuple[str, list[str], str, Attributes]:
    if node.domain not in _OWN or node.op_type not in OPERATORS or len(node.output) != 1:
        raise _unknown(f"the operator {node.op_type}")
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return node.op_type, list(node.input), node.output[0], attributes


def _unknown(what: str) -> FairleadError:
    return FairleadError(
        Code.UNIMPLEMENTED,
        f"the model has {what}, which is not translated to TensorFlow",
        hint="of a model that was optimised, export the version that it was made of",
    )


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise _unknown(what)


def _conv(tf: Any, inputs: Sequence[Any], attributes: Attributes) -> Any:
    """Between a transposition and its opposite: TensorFlow keeps channels last, also on CPUs."""
    image, kernel, *rest = inputs
    _require(
        len(kernel.shape) == _PLANE and attributes.get("group", 1) == 1, "a convolution in groups or of other axes"
    )
    image, padding = _padded(tf, image, attributes, 0.0)
    found = tf.nn.conv2d(
        tf.transpose(image, _LAST),
        kernel.transpose(2, 3, 1, 0),
        strides=list(attributes.get("strides", [1, 1])),
        padding=padding,
        dilations=list(attributes.get("dilations", [1, 1])),
    )
    return tf.transpose(found + rest[0] if rest else found, _FIRST)


def _max_pool(tf: Any, inputs: Sequence[Any], attributes: Attributes) -> Any:
    plain = not attributes.get("ceil_mode", 0) and set(attributes.get("dilations", [1])) == {1}
    _require(plain and len(attributes["kernel_shape"]) == _PLANE - 2, "pooling with gaps or of other axes")
    image, padding = _padded(tf, inputs[0], attributes, float("-inf"))
    strides = list(attributes.get("strides", [1, 1]))
    found = tf.nn.max_pool2d(tf.transpose(image, _LAST), list(attributes["kernel_shape"]), strides, padding)
    return tf.transpose(found, _FIRST)


def _padded(tf: Any, image: Any, attributes: Attributes, value: float) -> tuple[Any, str]:
    """The image with what the operator puts around it, and what TensorFlow should put there itself."""
    kind = attributes.get("auto_pad", b"NOTSET").decode()
    _require(kind in {"NOTSET", "VALID", "SAME_UPPER"}, f"padding of the kind {kind}")
    if kind == "SAME_UPPER":
        return image, "SAME"
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    if top or left or bottom or right:
        image = tf.pad(image, [[0, 0], [0, 0], [top, bottom], [left, right]], constant_values=value)
    return image, "VALID"


def _gemm(tf: Any, inputs: Sequence[Any], attributes: Attributes) -> Any:
    left, right, *rest = inputs
    product = tf.matmul(
        left, right, transpose_a=bool(attributes.get("transA", 0)), transpose_b=bool(attributes.get("transB", 0))
    )
    product *= attributes.get("alpha", 1.0)
    return product + attributes.get("beta", 1.0) * rest[0] if rest else product


def _reshape(tf: Any, inputs: Sequence[Any], attributes: Attributes) -> Any:
    shape = inputs[1]
    is_plain = hasattr(shape, "tolist") and 0 not in shape.tolist() and not attributes.get("allowzero", 0)
    _require(is_plain, "a reshape to what is only known when it runs")
    return tf.reshape(inputs[0], shape)


def _flatten(tf: Any, inputs: Sequence[Any], attributes: Attributes) -> Any:
    (image,) = inputs
    sizes = image.shape[1:].as_list()
    _require(attributes.get("axis", 1) == 1 and None not in sizes, "a flattening of what has no fixed size")
    size = 1
    for one in sizes:
        size *= one
    return tf.reshape(image, [-1, size])


_PLANE = 4
_LAST, _FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
"""From channels first to channels last, and back."""

OPERATORS: Final[Mapping[str, Translate]] = MappingProxyType(
    {
        "Add": lambda tf, inputs, _: tf.add(*inputs),
        "Conv": _conv,
        "Div": lambda tf, inputs, _: tf.divide(*inputs),
        "Flatten": _flatten,
        "Gemm": _gemm,
        "GlobalAveragePool": lambda tf, inputs, _: tf.reduce_mean(inputs[0], axis=[2, 3], keepdims=True),
        "Identity": lambda tf, inputs, _: tf.identity(inputs[0]),
        "MatMul": lambda tf, inputs, _: tf.matmul(*inputs),
        "MaxPool": _max_pool,
        "Mul": lambda tf, inputs, _: tf.multiply(*inputs),
        "Relu": lambda tf, inputs, _: tf.nn.relu(inputs[0]),
        "Reshape": _reshape,
        "Sigmoid": lambda tf, inputs, _: tf.sigmoid(inputs[0]),
        "Softmax": lambda tf, inputs, told: tf.nn.softmax(inputs[0], axis=told.get("axis", -1)),
        "Sub": lambda tf, inputs, _: tf.subtract(*inputs),
        "Tanh": lambda tf, inputs, _: tf.tanh(inputs[0]),
        "Transpose": lambda tf, inputs, told: tf.transpose(inputs[0], told.get("perm")),
    }
)
"""What is translated."""
