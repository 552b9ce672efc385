"""What every method starts from: the graph with its shapes known, and without what a free batch axis made dynamic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fairlead.training.extras import needs_extras

__all__ = ["INSTALL_OPTIMIZE", "keep_metadata", "prepare"]

INSTALL_OPTIMIZE = "pip install 'fairlead[optimize]'"


def prepare(model: Path, target: Path) -> None:
    """Write the model to `target` with inferred shapes, folded constants, constant reshapes, and named operators.

    Raises:
        FairleadError: FAILED_PRECONDITION when the library for it is not installed.
        Exception: of many kinds, when ONNX's tools do not understand the file.
    """
    with needs_extras("optimising a model", INSTALL_OPTIMIZE):
        import onnx  # noqa: PLC0415 - part of an extra
        from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415 - imports onnx
    # Without the symbolic inference, which wants a library of its own and fails on operators that it does not know.
    quant_pre_process(str(model), str(target), skip_symbolic_shape=True)
    loaded = onnx.shape_inference.infer_shapes(onnx.load(target), data_prop=True)
    _fix_reshapes(loaded)
    _name_nodes(loaded.graph)
    onnx.save(loaded, target)


def keep_metadata(model: Path, target: Path) -> None:
    """Give the file at `target` the metadata of the one at `model`: what texts go through is said there."""
    import onnx  # noqa: PLC0415 - part of an extra

    kept = onnx.load(model, load_external_data=False).metadata_props
    made = onnx.load(target)
    del made.metadata_props[:]
    made.metadata_props.extend(kept)
    onnx.save(made, target)


def _fix_reshapes(model: Any) -> None:
    """Where all axes but one are known after a reshape, they are given, with -1 for that one.

    Converters compute them from the batch at each call, by half a dozen operators of 2 us each.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - part of an extra

    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    known = {value.name: _axes(value) for value in (*graph.value_info, *graph.output)}
    for node in graph.node:
        axes = known.get(node.output[0], [])
        if node.op_type != "Reshape" or node.input[1] in constants or axes.count(-1) != 1 or 0 in axes:
            continue
        shape = numpy_helper.from_array(np.array(axes, np.int64), f"{node.output[0]}/shape")
        graph.initializer.append(shape)
        node.input[1] = shape.name
    _drop_unused(graph)


def _name_nodes(graph: Any) -> None:
    """Give each operator a name of its own: ONNX needs none, but a method may have to name some."""
    for number, node in enumerate(graph.node):
        node.name = f"{number}/{node.op_type}"


def _axes(value: Any) -> list[int]:
    """The sizes of a tensor's axes, -1 for one that is not known; none at all when not even their number is."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return []
    return [axis.dim_value if axis.HasField("dim_value") else -1 for axis in kind.shape.dim]


def _drop_unused(graph: Any) -> None:
    """Remove the operators whose results nobody takes, then the constants that none is left to take."""
    nested = [node for node in graph.node if any(attribute.HasField("g") for attribute in node.attribute)]
    if nested:  # what is inside a loop or a branch may take results from outside
        return
    is_done = False
    while not is_done:
        taken = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        dead = [node for node in graph.node if not taken.intersection(node.output)]
        for node in dead:
            graph.node.remove(node)
        is_done = not dead
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in taken]:
        graph.initializer.remove(tensor)
