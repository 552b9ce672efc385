"""The edges of an ONNX graph, made what callers expect: a value a row for a column, outputs with names that speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import TensorSpec

__all__ = ["check_operators", "name_output", "take_columns"]


def take_columns(model: Any, columns: Sequence[TensorSpec]) -> None:
    """Let the graph take `columns`, [n] each, for its inputs of one column, [n, 1], in that order, or its one of all.

    Whole numbers become floats where the graph takes those.
    """
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - part of the frameworks' extras

    graph = model.graph
    inner = [given.name for given in graph.input]
    kinds = [given.type.tensor_type.elem_type for given in graph.input]
    nodes, made = [], []
    del graph.input[:]
    for place, spec in enumerate(columns):
        kind = TensorProto.STRING if spec.dtype == "string" else helper.np_dtype_to_tensor_dtype(spec.numpy_dtype)
        graph.input.append(helper.make_tensor_value_info(spec.name, kind, ["n"]))
        flat, wanted = spec.name, kinds[place if len(kinds) > 1 else 0]
        if kind != wanted:
            flat = f"/cast/{place}"
            nodes.append(helper.make_node("Cast", [spec.name], [flat], to=wanted))
        made.append(f"/column/{place}")
        nodes.append(helper.make_node("Reshape", [flat, "/one"], [made[-1]]))
    if len(inner) < len(made):
        nodes.append(helper.make_node("Concat", made, ["/columns"], axis=1))
        made = ["/columns"]
    renamed = dict(zip(inner, made, strict=True))
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    graph.initializer.append(numpy_helper.from_array(np.array([-1, 1], np.int64), "/one"))
    nodes += graph.node
    del graph.node[:]
    graph.node.extend(nodes)


def name_output(model: Any, output: str, name: str, *, is_flat: bool = False) -> None:
    """Make `output` the graph's only one, called `name`; `is_flat` makes values, [n], of its one column, [n, 1]."""
    from onnx import helper, numpy_helper  # noqa: PLC0415 - part of the frameworks' extras

    graph = model.graph
    kept = next(given for given in graph.output if given.name == output).type.tensor_type
    if is_flat:
        graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "/rows"))
        graph.node.append(helper.make_node("Reshape", [output, "/rows"], [name]))
    elif output != name:
        graph.node.append(helper.make_node("Identity", [output], [name]))
    shape = ["n", *([] if is_flat else (size.dim_value for size in kept.shape.dim[1:]))]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(name, kept.elem_type, shape))
    _forget_unused(graph)


def _forget_unused(graph: Any) -> None:
    """Drop the nodes that no output needs any more."""
    needed, kept = {given.name for given in graph.output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def check_operators(model: Any) -> None:
    """Raise UNIMPLEMENTED naming the operators in the graph that ONNX does not have: converters write them."""
    from onnx import defs  # noqa: PLC0415 - part of the frameworks' extras

    lacking = sorted({node.op_type for node in model.graph.node if not node.domain and not defs.has(node.op_type)})
    if lacking:
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"the model cannot be written as ONNX: it has no {', '.join(lacking)}",
            hint="take those operators out of the model and let callers do that step, or use others",
        )
