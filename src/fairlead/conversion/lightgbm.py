"""Boosted trees of LightGBM: its estimators, on a table with categories and missing values, or on an array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairlead.conversion.frame import described, tensors_of
from fairlead.conversion.lightgbm_trees import boosted_trees
from fairlead.conversion.sample import is_frame, rows_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.signature import Array, Tensors
from fairlead.training.extras import needs_extras

__all__ = ["LightGbm", "original"]

INSTALL: Final = "pip install 'fairlead[lightgbm]'"
PROBABILITIES, PREDICTION = "probabilities", "prediction"
_OPSETS: Final = {"": 17, "ai.onnx.ml": 3}
_ONE_ARRAY: Final = "x"


def original(model: Any, sample: Any) -> LightGbm:
    """The estimator `model`, which has to be trained, and rows for it.

    Args:
        model: a classifier or a regressor.
        sample: a table with the columns that it was trained on, or an array [n, columns].

    Raises:
        FairleadError: FAILED_PRECONDITION when it is not trained, UNIMPLEMENTED when it is no estimator,
            INVALID_ARGUMENT for rows that no caller could send.
    """
    kind = type(model).__name__
    if not hasattr(model, "booster_") and not hasattr(type(model), "booster_"):
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"a {kind} of LightGBM does not say what it answers",
            hint="publish an LGBMClassifier or an LGBMRegressor",
        )
    if not model.__sklearn_is_fitted__():
        raise FairleadError(Code.FAILED_PRECONDITION, f"the {kind} is not trained", hint="call its fit() first")
    if not is_frame(sample):
        return LightGbm(model=model, sample=np.asarray(rows_of(sample), np.float64), columns={})
    wanted = [str(name) for name in getattr(model, "feature_names_in_", model.feature_name_)]
    if [str(name) for name in sample.columns] != wanted:
        lacking = [name for name in wanted if name not in sample.columns]
        told = f"lacks {lacking}" if lacking else f"has the columns {[str(name) for name in sample.columns]}"
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the sample {told}; the {kind} was trained on {wanted}",
            hint="give it those columns, in that order",
        )
    return LightGbm(model=model, sample=sample, columns=described(sample, _categories(model, sample)))


def _categories(model: Any, sample: Any) -> dict[str, list[str]]:
    """What texts stand for the codes that the trees know, by column."""
    names = [str(name) for name in sample.columns if sample[name].dtype.name == "category"]
    lists = model.booster_.pandas_categorical or []
    if len(names) != len(lists):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{len(names)} columns of the sample are categories, and {len(lists)} were in training",
            hint="give it rows of the table that it was trained on",
        )
    return {name: [str(category) for category in found] for name, found in zip(names, lists, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightGbm:
    """See `Original`.

    Attributes:
        model: the estimator.
        sample: the rows as it takes them.
        columns: what values the columns of a table may have; empty for an array.
    """

    model: Any
    sample: Any
    columns: Mapping[str, Column]

    @property
    def framework(self) -> str:
        return "LightGBM"

    @property
    def kind(self) -> str:
        return type(self.model).__name__

    @property
    def inputs(self) -> Tensors:
        return tensors_of(self.sample) if self.columns else {_ONE_ARRAY: self.sample}

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(str(label) for label in self.model.classes_) if self._is_classifier else ()

    def answer(self) -> dict[str, Array]:
        if self._is_classifier:
            return {PROBABILITIES: np.asarray(self.model.predict_proba(self.sample))}
        return {PREDICTION: np.asarray(self.model.predict(self.sample))}

    def export(self, path: Path) -> None:
        with needs_extras("exporting a model of LightGBM to ONNX", INSTALL):
            from onnx import TensorProto, helper, numpy_helper, save_model  # noqa: PLC0415 - part of the lightgbm extra
        dump = self.model.booster_.dump_model()
        inputs, nodes, constants = self._features()
        name, shape = (PROBABILITIES, ["n", len(self.labels)]) if self._is_classifier else (PREDICTION, ["n"])
        trees, more = boosted_trees(dump, "/features", name if self._is_classifier else "/column")
        if not self._is_classifier:
            trees.append(helper.make_node("Reshape", ["/column", "/rows"], [name]))
            more.append(numpy_helper.from_array(np.array([-1], np.int64), "/rows"))
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph([*nodes, *trees], "lightgbm", inputs, [output], [*constants, *more])
        opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
        save_model(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))

    @property
    def _is_classifier(self) -> bool:
        return hasattr(self.model, "predict_proba")

    def _features(self) -> tuple[list[Any], list[Any], list[Any]]:
        """The graph's inputs, and the nodes and constants that make one tensor of doubles of them."""
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - part of the lightgbm extra

        if not self.columns:
            width = self.sample.shape[1]
            given = helper.make_tensor_value_info(_ONE_ARRAY, TensorProto.DOUBLE, ["n", width])
            return [given], [helper.make_node("Identity", [_ONE_ARRAY], ["/features"])], []
        inputs, nodes, made = [], [], []
        for place, (name, array) in enumerate(self.inputs.items()):
            is_text = array.dtype.kind == "O"
            kind = TensorProto.STRING if is_text else helper.np_dtype_to_tensor_dtype(array.dtype)
            inputs.append(helper.make_tensor_value_info(name, kind, ["n"]))
            codes = f"/codes/{place}"
            if is_text:
                nodes.append(_encoded(name, codes, self.columns[name].categories))
            flat = f"/double/{place}"
            nodes.append(helper.make_node("Cast", [codes if is_text else name], [flat], to=TensorProto.DOUBLE))
            made.append(f"/column/{place}")
            nodes.append(helper.make_node("Reshape", [flat, "/one"], [made[-1]]))
        nodes.append(helper.make_node("Concat", made, ["/features"], axis=1))
        return inputs, nodes, [numpy_helper.from_array(np.array([-1, 1], np.int64), "/one")]


def _encoded(name: str, codes: str, categories: Sequence[str]) -> Any:
    """The number of each text; NaN of one that is missing."""
    from onnx import helper  # noqa: PLC0415 - part of the lightgbm extra

    return helper.make_node(
        "LabelEncoder",
        [name],
        [codes],
        domain="ai.onnx.ml",
        keys_strings=list(categories),
        values_floats=[float(code) for code in range(len(categories))],
        default_float=float("nan"),
    )
