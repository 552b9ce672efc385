"""A LightGBM booster as ONNX: its trees in doubles, in which it decides and adds up itself, and its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fairlead.errors import Code, FairleadError

__all__ = ["boosted_trees"]

_LESS_OR_EQUAL, _EQUAL, _LEAF = "BRANCH_LEQ", "BRANCH_EQ", "LEAF"
_NOWHERE: Final = 0
_EXPONENTIALS: Final = frozenset({"poisson", "gamma", "tweedie"})
_PLAIN: Final = frozenset({"regression", "regression_l1", "huber", "fair", "quantile", "mape"})
_ZERO: Final = float(np.float32(1e-35))


class _Nodes:
    """The columns of attributes that ONNX keeps trees in, node by node."""

    def __init__(self, targets: int) -> None:
        self.targets = targets
        self.columns: dict[str, list[Any]] = {
            name: []
            for name in (
                "treeids", "nodeids", "featureids", "modes", "values",
                "truenodeids", "falsenodeids", "missing_value_tracks_true",
            )
        }  # fmt: skip
        self.leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}

    def add_tree(self, tree: int, root: Mapping[str, Any], share: float) -> None:
        """Add a tree, whose leaves count `share`."""
        first = len(self.columns["nodeids"])
        open_: list[tuple[int, Mapping[str, Any]]] = [(self._reserve(tree, first), root)]
        while open_:
            node, data = open_.pop()
            if "leaf_value" in data:
                self._add_leaf(tree, node, float(data["leaf_value"]) * share)
                continue
            left, right = self._reserve(tree, first), self._reserve(tree, first)
            if data["decision_type"] == "==":
                categories = [float(category) for category in data["threshold"].split("||")]
                chain = [node, *(self._reserve(tree, first) for _ in categories[1:])]
                for place, category in enumerate(categories):  # whichever it is, the same node comes next
                    otherwise = chain[place + 1] if place + 1 < len(chain) else right
                    self._set(chain[place] + first, data, _EQUAL, category, (left, otherwise))
            else:
                self._set(node + first, data, _LESS_OR_EQUAL, _threshold(float(data["threshold"])), (left, right))
            open_ += [(left, data["left_child"]), (right, data["right_child"])]

    def _reserve(self, tree: int, first: int) -> int:
        """A new node, for the time being a leaf; its number within the tree."""
        node = len(self.columns["nodeids"]) - first
        new = (tree, node, 0, _LEAF, 0.0, _NOWHERE, _NOWHERE, 0)
        for column, value in zip(self.columns.values(), new, strict=True):
            column.append(value)
        return node

    def _set(self, place: int, data: Mapping[str, Any], mode: str, value: float, children: tuple[int, int]) -> None:
        columns = self.columns
        columns["featureids"][place] = int(data["split_feature"])
        columns["modes"][place], columns["values"][place] = mode, value
        columns["truenodeids"][place], columns["falsenodeids"][place] = children
        columns["missing_value_tracks_true"][place] = int(mode == _LESS_OR_EQUAL and _goes_left(data, value))

    def _add_leaf(self, tree: int, node: int, weight: float) -> None:
        for column, value in zip(self.leaves.values(), (tree, node, tree % self.targets, weight), strict=True):
            column.append(value)


def _threshold(threshold: float) -> float:
    """The one to compare with in place of LightGBM's, which first makes zeros of all numbers as small as `_ZERO`."""
    if 0 <= threshold < _ZERO:
        return _ZERO
    return float(np.nextafter(-_ZERO, -1)) if -_ZERO <= threshold < 0 else threshold


def _goes_left(data: Mapping[str, Any], threshold: float) -> bool:
    """Where a missing number goes: it is a zero to a split that met none in training."""
    kind, default = data["missing_type"], bool(data["default_left"])
    if kind == "Zero" and default != (threshold >= 0):
        raise FairleadError(
            Code.UNIMPLEMENTED,
            "the model cannot be written as ONNX: zero_as_missing has no counterpart in it",
            hint="train with zero_as_missing=False",
        )
    return threshold >= 0 if kind == "None" else default


def boosted_trees(dump: Mapping[str, Any], given: str, output: str, prefix: str = "") -> tuple[list[Any], list[Any]]:
    """The nodes, and the constants in them, that make the tensor `output` of the tensor `given`.

    Args:
        dump: what `Booster.dump_model` gives.
        given: double [n, features].
        output: float32 [n, classes] of a classifier, else [n, 1].
        prefix: begins the names between the two, which have to be new in the graph.

    Raises:
        FairleadError: UNIMPLEMENTED naming what ONNX lacks.
    """
    scores = f"{prefix}/scores"
    made, constants = _answer(dump, scores, output, prefix)
    return [_tree_ensemble(dump, given, scores), *made], constants


def _answer(dump: Mapping[str, Any], scores: str, output: str, prefix: str) -> tuple[list[Any], list[Any]]:
    """What the objective makes of the raw scores."""
    from onnx import helper, numpy_helper  # noqa: PLC0415 - part of the frameworks' extras

    objective, *parameters = str(dump.get("objective", "none")).split()
    if objective == "multiclass":
        return [helper.make_node("Softmax", [scores], [output], axis=1)], []
    if objective in _EXPONENTIALS:
        return [helper.make_node("Exp", [scores], [output])], []
    if objective in _PLAIN and "sqrt" not in parameters:
        return [helper.make_node("Identity", [scores], [output])], []
    if objective not in ("binary", "multiclassova"):
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"the model cannot be written as ONNX: the objective {dump.get('objective')!r} has no counterpart in it",
            hint="train with one of LightGBM's own, without reg_sqrt",
        )
    slope = next((float(each.partition(":")[2]) for each in parameters if each.startswith("sigmoid:")), 1.0)
    steep = numpy_helper.from_array(np.array(slope, np.float32), f"{prefix}/slope")
    scaled = helper.make_node("Mul", [scores, steep.name], [f"{prefix}/scaled"])
    if objective == "multiclassova":
        return [scaled, helper.make_node("Sigmoid", [f"{prefix}/scaled"], [output])], [steep]
    one = numpy_helper.from_array(np.array(1, np.float32), f"{prefix}/unit")
    first, second = f"{prefix}/first", f"{prefix}/second"
    return [
        scaled,
        helper.make_node("Sigmoid", [f"{prefix}/scaled"], [second]),
        helper.make_node("Sub", [one.name, second], [first]),
        helper.make_node("Concat", [first, second], [output], axis=1),
    ], [steep, one]


def _tree_ensemble(dump: Mapping[str, Any], given: str, name: str) -> Any:
    """The node that makes the raw scores `name`, float32 [n, scores], of the tensor `given`."""
    from onnx import helper, numpy_helper  # noqa: PLC0415 - part of the frameworks' extras

    trees: Sequence[Mapping[str, Any]] = dump["tree_info"]
    targets = int(dump["num_tree_per_iteration"])
    nodes = _Nodes(targets)
    share = targets / len(trees) if dump["average_output"] else 1.0
    for number, tree in enumerate(trees):
        if _is_linear(tree["tree_structure"]):
            raise FairleadError(
                Code.UNIMPLEMENTED,
                "the model cannot be written as ONNX: linear_tree has no counterpart in it",
                hint="train with linear_tree=False",
            )
        nodes.add_tree(number, tree["tree_structure"], share)
    doubles = {
        "nodes_values_as_tensor": nodes.columns.pop("values"),
        "target_weights_as_tensor": nodes.leaves.pop("weights"),
    }
    return helper.make_node(
        "TreeEnsembleRegressor",
        [given],
        [name],
        domain="ai.onnx.ml",
        n_targets=targets,
        **{f"nodes_{key}": values for key, values in nodes.columns.items()},
        **{f"target_{key}": values for key, values in nodes.leaves.items()},
        **{key: numpy_helper.from_array(np.array(values, np.float64)) for key, values in doubles.items()},
    )


def _is_linear(root: Mapping[str, Any]) -> bool:
    node = root
    while "left_child" in node:
        node = node["left_child"]
    return "leaf_coeff" in node
