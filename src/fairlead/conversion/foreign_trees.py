"""Estimators of other frameworks that skl2onnx has to be told of before it meets them, alone or in a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from fairlead.training.extras import needs_extras

__all__ = ["INSTALL_XGBOOST", "register_loaded"]

INSTALL_XGBOOST: Final = "pip install 'fairlead[xgboost]'"


def register_loaded() -> None:
    """Tell skl2onnx of the estimators of each framework that this process has imported: a model may have them in it."""
    if "xgboost" in sys.modules:
        _register_xgboost()


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
