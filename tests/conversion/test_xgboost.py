"""Boosted trees are written as ONNX that answers the same, alone and in a pipeline, or refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from xgboost import DMatrix, XGBClassifier, XGBRegressor, train

from fairlead.conversion.choosing import original_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.onnx import open_model

ROWS = np.random.default_rng(0).random((200, 4)).astype(np.float32)
BINARY = (ROWS[:, 0] + ROWS[:, 1] > 1).astype(int)

TABLE = pd.DataFrame(ROWS, columns=["age", "hours-per-week", "f1", "f0"])
KINDS: dict[str, tuple[Any, Any]] = {
    "two": (XGBClassifier(n_estimators=10), BINARY),
    "three": (XGBClassifier(n_estimators=10), np.arange(200) % 3),
    "value": (XGBRegressor(n_estimators=10), ROWS[:, 0] * 1000),
    "count": (XGBRegressor(n_estimators=10, objective="count:poisson"), np.arange(200) % 3),
    "pipeline": (
        make_pipeline(make_column_transformer(("passthrough", [0, 2])), XGBClassifier(n_estimators=5)),
        BINARY,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_answers_what_the_model_answers(tmp_path: Path, kind: str) -> None:
    """In the same shapes."""
    model, truth = KINDS[kind]
    original = original_of(model.fit(ROWS, truth), ROWS)
    original.export(tmp_path / "model.onnx")
    ((name, want),) = original.answer().items()
    got = open_model(tmp_path / "model.onnx")[0].predict(original.inputs)[name]

    assert original.framework == ("scikit-learn" if kind == "pipeline" else "XGBoost")
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", [XGBClassifier(n_estimators=5), make_pipeline(SimpleImputer(), XGBClassifier())])
def test_missing_values_and_flags_of_a_table_are_known(tmp_path: Path, model: Any) -> None:
    """They go where they went in training, and the column says that they may be missing."""
    table = TABLE.assign(flag=ROWS[:, 1] > 0.5, f0=np.where(ROWS[:, 3] < 0.3, np.nan, ROWS[:, 3]))
    original = original_of(model.fit(table, BINARY), table)
    original.export(tmp_path / "model.onnx")
    got = open_model(tmp_path / "model.onnx")[0].predict(original.inputs)["probabilities"]

    np.testing.assert_allclose(got, model.predict_proba(table), rtol=1e-5, atol=1e-6)
    assert [name for name, column in original.columns.items() if column.may_be_missing] == ["f0"]


def test_splits_by_categories_are_refused() -> None:
    """By name: the file would split them as numbers."""
    table = TABLE.assign(job=pd.Categorical(np.where(ROWS[:, 0] > 0.5, "Cook", "Pilot")))
    model = XGBClassifier(n_estimators=5, enable_categorical=True).fit(table, BINARY)
    with pytest.raises(FairleadError, match="XGBoost's own categories have no counterpart") as caught:
        original_of(model, table)
    assert caught.value.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize("model", [XGBRegressor(n_estimators=5), make_pipeline(XGBRegressor(n_estimators=5))])
def test_columns_of_a_table_have_any_names(tmp_path: Path, model: Any) -> None:
    """The file takes them by these; the model has them still."""
    original = original_of(model.fit(TABLE, BINARY), TABLE)
    original.export(tmp_path / "model.onnx")
    servable, signature = open_model(tmp_path / "model.onnx")

    assert [spec.name for spec in signature.inputs] == list(TABLE)
    np.testing.assert_allclose(
        servable.predict(original.inputs)["prediction"], model.predict(TABLE), rtol=1e-5, atol=1e-6
    )


REFUSED: list[tuple[Any, Code, str]] = [
    (XGBClassifier, Code.FAILED_PRECONDITION, "the XGBClassifier is not trained"),
    (lambda: XGBRegressor(booster="gblinear").fit(ROWS, BINARY), Code.UNIMPLEMENTED, "booster='gblinear' has no count"),
    (lambda: train({}, DMatrix(ROWS, BINARY), 2), Code.UNIMPLEMENTED, "a Booster of XGBoost does not say what it ans"),
]


@pytest.mark.filterwarnings("ignore:.*gblinear:UserWarning")
@pytest.mark.parametrize(("make", "code", "reason"), REFUSED)
def test_what_cannot_be_written_is_refused(make: Any, code: Code, reason: str) -> None:
    """With what to do."""
    with pytest.raises(FairleadError, match=reason) as caught:
        original_of(make(), ROWS)

    assert caught.value.code is code
    assert caught.value.hint
