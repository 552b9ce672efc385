"""Boosted trees of XGBoost: its estimators, alone or at the end of a pipeline of scikit-learn's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from fairlead.conversion import scikit_learn
from fairlead.conversion.scikit_learn import ScikitLearn
from fairlead.errors import Code, FairleadError

__all__ = ["original"]

_TREES: Final = "gbtree"
_CATEGORY: Final = "c"


def original(model: Any, sample: Any) -> ScikitLearn:
    """See `scikit_learn.original`; a classifier or a regressor that boosts trees.

    Raises:
        FairleadError: UNIMPLEMENTED for what boosts no trees, and what that raises.
    """
    if not hasattr(model, "get_booster"):
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"a {type(model).__name__} of XGBoost does not say what it answers",
            hint="publish an XGBClassifier or an XGBRegressor; load_model() of one reads what a Booster saved",
        )
    if (model.booster or _TREES) != _TREES:
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"the model cannot be written as ONNX: booster={model.booster!r} has no counterpart in it",
            hint=f"train it with booster={_TREES!r}",
        )
    original = scikit_learn.original(model, sample)
    if _CATEGORY in (model.get_booster().feature_types or ()):
        raise FairleadError(
            Code.UNIMPLEMENTED,
            "the model cannot be written as ONNX: XGBoost's own categories have no counterpart in it",
            hint="encode them in a pipeline before it (OneHotEncoder), or train LightGBM, whose categories have one",
        )
    return replace(original, framework="XGBoost")
