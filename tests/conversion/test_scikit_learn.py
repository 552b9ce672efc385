"""What scikit-learn trained is written as ONNX that answers the same, or refused with the reason."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler

from fairlead.conversion.choosing import original_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.onnx import open_model
from fairlead.servable.signature import TensorSpec

ROWS = 60
DICE = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "hours-per-week": DICE.integers(1, 80, ROWS),
        "share of 1": DICE.random(ROWS),
        "is new": DICE.random(ROWS) > 0.5,
        "job": DICE.choice(["clerk", "cook", "pilot"], ROWS),
    }
)
NUMBERS = TABLE[["hours-per-week", "share of 1"]]
ARRAY = NUMBERS.to_numpy()
BINARY = np.arange(ROWS) % 2
COLOURS = np.array(["red", "green", "blue"])[np.arange(ROWS) % 3]


def by_columns() -> Any:
    """Numbers scaled, texts and truths encoded."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return make_column_transformer(
        (numbers, list(NUMBERS)), (OneHotEncoder(handle_unknown="ignore"), ["job", "is new"])
    )


KINDS: dict[str, tuple[Any, Any, Any]] = {
    "classes": (RandomForestClassifier(n_estimators=5, random_state=0), ARRAY, COLOURS),
    "boosted": (HistGradientBoostingClassifier(max_iter=5), ARRAY, BINARY),
    "value": (GradientBoostingRegressor(n_estimators=5), ARRAY, ARRAY[:, 0] * 1e4),
    "values": (Ridge(), ARRAY, ARRAY),
    "texts": (make_pipeline(OneHotEncoder(), Ridge()), TABLE[["job"]].to_numpy(), BINARY),
    "table": (make_pipeline(by_columns(), LogisticRegression()), TABLE, BINARY),
    "selected": (
        make_pipeline(
            make_column_transformer((StandardScaler(), make_column_selector(dtype_include="number"))), Ridge()
        ),
        NUMBERS,
        BINARY,
    ),
    "plain-table": (make_pipeline(StandardScaler(), LogisticRegression()), NUMBERS, COLOURS),
    "column": (make_pipeline(OneHotEncoder(), LogisticRegression()), TABLE[["job"]], BINARY),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_answers_what_the_model_answers(tmp_path: Path, kind: str) -> None:
    """Every row, alone and with the others, in the same shapes; of values in the thousands to seven digits."""
    model, rows, truth = KINDS[kind]
    original = original_of(model.fit(rows, truth), rows)
    original.export(tmp_path / "model.onnx")
    servable, signature = open_model(tmp_path / "model.onnx")
    signature.check_inputs(original.inputs)
    ((name, want),) = original.answer().items()

    assert original.framework == "scikit-learn"
    assert [spec.name for spec in signature.outputs] == [name]
    assert all(spec.shape[0] == -1 for spec in (*signature.inputs, *signature.outputs))
    alone = servable.predict({key: array[:1] for key, array in original.inputs.items()})[name]
    for got, expected in ((servable.predict(original.inputs)[name], want), (alone, want[:1])):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


def test_columns_keep_their_names_and_types(tmp_path: Path) -> None:
    """A value a row: whole numbers, float32, truths and texts."""
    model, rows, truth = KINDS["table"]
    original_of(model.fit(rows, truth), rows).export(tmp_path / "model.onnx")
    signature = open_model(tmp_path / "model.onnx")[1]

    assert signature.inputs == tuple(
        TensorSpec(name=name, dtype=dtype, shape=(-1,))
        for name, dtype in zip(TABLE, ("int64", "float32", "bool", "string"), strict=True)
    )


def test_classes_are_called_what_the_model_calls_them() -> None:
    """In the order of its probabilities; a regressor has none."""
    assert original_of(KINDS["classes"][0].fit(ARRAY, COLOURS), ARRAY).labels == ("blue", "green", "red")
    assert original_of(LogisticRegression().fit(ARRAY, BINARY), ARRAY).labels == ("0", "1")
    assert original_of(Ridge().fit(ARRAY, BINARY), ARRAY).labels == ()


def unpicklable() -> Any:
    """A trained model with a lock in it."""
    model = LogisticRegression().fit(ARRAY, BINARY)
    model.lock = threading.Lock()
    return model


def trained(*steps: Any) -> Any:
    """A pipeline of these steps."""
    return make_pipeline(*steps).fit(ARRAY, BINARY)


REFUSED = [
    (LogisticRegression, Code.FAILED_PRECONDITION, "the LogisticRegression is not trained"),
    (lambda: make_pipeline(StandardScaler(), Ridge()), Code.FAILED_PRECONDITION, "the Pipeline is not trained"),
    (lambda: Ridge, Code.UNIMPLEMENTED, "is of no framework that is known here"),
    (unpicklable, Code.FAILED_PRECONDITION, "cannot be pickled, so it is lost with this process: cannot pickle"),
    (lambda: trained(FunctionTransformer(lambda x: x), Ridge()), Code.FAILED_PRECONDITION, "cannot be pickled"),
    (lambda: KMeans(2, n_init=1).fit(ARRAY), Code.UNIMPLEMENTED, "neither a classifier nor a regressor"),
    (lambda: Perceptron().fit(ARRAY, BINARY), Code.UNIMPLEMENTED, "is a classifier without probabilities"),
]


@pytest.mark.parametrize(("make", "code", "reason"), REFUSED)
def test_what_cannot_be_asked_is_refused(make: Any, code: Code, reason: str) -> None:
    """Before it is asked, with what is wrong with it and what to do."""
    with pytest.raises(FairleadError, match=reason) as caught:
        original_of(make(), ARRAY)

    assert caught.value.code is code
    assert caught.value.hint


LACKING = [
    (lambda: trained(SplineTransformer(), Ridge()), "SplineTransformer has no counterpart in ONNX"),
    (lambda: trained(FunctionTransformer(np.log1p), Ridge()), "FunctionTransformer is not supported"),
]


@pytest.mark.parametrize(("make", "reason"), LACKING)
def test_what_onnx_lacks_is_named(tmp_path: Path, make: Any, reason: str) -> None:
    """And nothing is written."""
    with pytest.raises(FairleadError, match=reason) as caught:
        original_of(make(), ARRAY).export(tmp_path / "model.onnx")

    assert caught.value.code is Code.UNIMPLEMENTED
    assert caught.value.hint
    assert not list(tmp_path.iterdir())


def test_several_questions_at_once_are_refused() -> None:
    """Callers get one list of classes."""
    model = MultiOutputClassifier(LogisticRegression()).fit(ARRAY, np.stack([BINARY, BINARY], axis=1))
    with pytest.raises(FairleadError, match="answers 2 questions at once"):
        original_of(model, ARRAY).answer()


SAMPLES = [
    (np.array([[0.5, 1.0], [np.nan, 1.0]]), "the sample holds nan in row 1"),
    (NUMBERS.assign(**{"share of 1": np.inf}), "column 'share of 1' of the sample holds inf in row 0"),
    (ARRAY[:0], "the sample has no rows"),
    (3.5, "the sample is a float, which has no rows"),
    (NUMBERS.assign(when=pd.Timestamp(0)), "column 'when' of the sample holds datetime64"),
    (np.array([["a", 1]], object), "the sample holds 1 among texts"),
]


@pytest.mark.parametrize(("sample", "reason"), SAMPLES)
def test_a_sample_that_no_caller_could_send_is_refused(sample: Any, reason: str) -> None:
    """With the place of what is wrong in it."""
    with pytest.raises(FairleadError, match=reason):
        original_of(Ridge().fit(ARRAY, BINARY), sample)
