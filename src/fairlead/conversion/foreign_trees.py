"""Estimators of other frameworks that skl2onnx has to be told of before it meets them, alone or in a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fairlead.conversion.lightgbm_trees import boosted_trees
from fairlead.training.extras import needs_extras

__all__ = ["INSTALL_XGBOOST", "register_loaded"]

INSTALL_XGBOOST: Final = "pip install 'fairlead[xgboost]'"


def register_loaded() -> None:
    """Tell skl2onnx of the estimators of each framework that this process has imported: a model may have them in it."""
    if "xgboost" in sys.modules:
        _register_xgboost()
    if "lightgbm" in sys.modules:
        _register_lightgbm()


def _register_xgboost() -> None:
    with needs_extras("exporting a model of XGBoost to ONNX", INSTALL_XGBOOST):
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost  # noqa: PLC0415 - as below
        from skl2onnx import update_registered_converter  # noqa: PLC0415 - as below
        from skl2onnx.common.shape_calculator import (  # noqa: PLC0415 - as below
            calculate_linear_classifier_output_shapes,
            calculate_linear_regressor_output_shapes,
        )
        from xgboost import XGBClassifier, XGBRegressor  # noqa: PLC0415 - part of the xgboost extra
    convert = _without_names(convert_xgboost)
    update_registered_converter(
        XGBClassifier,
        "XGBoostXGBClassifier",
        calculate_linear_classifier_output_shapes,
        convert,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    update_registered_converter(XGBRegressor, "XGBoostXGBRegressor", calculate_linear_regressor_output_shapes, convert)


def _without_names(convert: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
    """The converter for trees that were trained on a table: it knows columns by their place alone."""

    def converting(scope: Any, operator: Any, container: Any) -> None:
        booster = operator.raw_operator.get_booster()
        names, types = booster.feature_names, booster.feature_types
        booster.feature_names = booster.feature_types = None  # flags would be split without a threshold
        try:
            convert(scope, operator, container)
        finally:
            booster.feature_names, booster.feature_types = names, types

    return converting


def _register_lightgbm() -> None:
    from lightgbm import LGBMClassifier, LGBMRegressor  # noqa: PLC0415 - part of the lightgbm extra
    from skl2onnx import update_registered_converter  # noqa: PLC0415 - as above
    from skl2onnx.common.shape_calculator import (  # noqa: PLC0415 - as above
        calculate_linear_classifier_output_shapes,
        calculate_linear_regressor_output_shapes,
    )

    update_registered_converter(
        LGBMClassifier,
        "LightGbmLGBMClassifier",
        calculate_linear_classifier_output_shapes,
        _convert_lightgbm,
        options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
    )
    update_registered_converter(
        LGBMRegressor, "LightGbmLGBMRegressor", calculate_linear_regressor_output_shapes, _convert_lightgbm
    )


def _convert_lightgbm(scope: Any, operator: Any, container: Any) -> None:
    """Add the nodes of an estimator that is a step among others."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - part of the lightgbm extra

    estimator, outputs = operator.raw_operator, [output.onnx_name for output in operator.outputs]
    prefix, given = scope.get_unique_variable_name("lightgbm"), scope.get_unique_variable_name("features")
    nodes, constants = boosted_trees(estimator.booster_.dump_model(), given, outputs[-1], prefix)
    nodes.insert(0, helper.make_node("Cast", [operator.inputs[0].onnx_name], [given], to=TensorProto.DOUBLE))
    if len(outputs) > 1:  # a classifier's classes, beside their probabilities
        classes = np.asarray(estimator.classes_)
        known = numpy_helper.from_array(
            classes.astype(object if classes.dtype.kind in "OU" else np.int64), f"{prefix}/classes"
        )
        nodes += [
            helper.make_node("ArgMax", [outputs[-1]], [f"{prefix}/best"], axis=1, keepdims=0),
            helper.make_node("Gather", [known.name, f"{prefix}/best"], [outputs[0]], axis=0),
        ]
        constants.append(known)
    for node in nodes:
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        name = scope.get_unique_operator_name(node.op_type)
        container.add_node(
            node.op_type, list(node.input), list(node.output), op_domain=node.domain, name=name, **attributes
        )
    for constant in constants:
        values = numpy_helper.to_array(constant).ravel().tolist()
        container.add_initializer(constant.name, constant.data_type, list(constant.dims), values)
