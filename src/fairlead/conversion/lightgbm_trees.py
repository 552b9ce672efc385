"""The trees of a LightGBM booster as an ONNX tree ensemble in doubles, in which LightGBM itself decides and adds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from fairlead.errors import Code, FairleadError

__all__ = ["tree_ensemble"]

_LESS_OR_EQUAL, _EQUAL, _LEAF = "BRANCH_LEQ", "BRANCH_EQ", "LEAF"
_NOWHERE: Final = 0
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


def tree_ensemble(dump: Mapping[str, Any], given: str, name: str) -> Any:
    """A node that makes the raw scores `name`, float32 [n, scores], of the tensor `given`, double [n, features].

    Args:
        dump: what `Booster.dump_model` gives.
        given: the node's input.
        name: its output.

    Raises:
        FairleadError: UNIMPLEMENTED naming what ONNX lacks.
    """
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
