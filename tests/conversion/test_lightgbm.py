"""LightGBM's trees are written as ONNX that answers the same, categories and missing values among them, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from sklearn.compose import make_column_transformer
from sklearn.ensemble import StackingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from fairlead.conversion.choosing import original_of
from fairlead.errors import Code, FairleadError
from fairlead.servable.column import Column
from fairlead.servable.runtimes.onnx import open_model

DICE = np.random.default_rng(0)
JOBS = ["Clerk", "Cook", "Nurse", "Pilot", "Smith"]


def table(rows: int) -> Any:
    """People, some of whom did not say how long they work, or what as."""
    hours = DICE.normal(40, 10, rows)
    jobs = [None if DICE.random() < 0.1 else str(job) for job in DICE.choice(JOBS, rows)]
    return pd.DataFrame(
        {
            "age": DICE.integers(18, 80, rows),
            "hours-per-week": np.where(DICE.random(rows) < 0.1, np.nan, hours),
            "job": pd.Categorical(jobs, categories=JOBS),
            "member": DICE.random(rows) > 0.5,
            "debt": np.where(DICE.random(rows) < 0.5, 0.0, DICE.normal(size=rows)),
        }
    )


PEOPLE, OTHERS = table(400), table(400)
PAID = (PEOPLE["age"] + 20 * PEOPLE["job"].isin(["Nurse", "Pilot"]) + 30 * PEOPLE["debt"] > 60).astype(int)
SMALL: dict[str, Any] = {
    "n_estimators": 15,
    "min_child_samples": 5,
    "verbose": -1,
    "n_jobs": 1,
    "min_data_per_group": 5,
}
KINDS: dict[str, tuple[Any, Any]] = {
    "two": (LGBMClassifier(**SMALL), PAID),
    "steep": (LGBMClassifier(**SMALL, objective="binary", sigmoid=2.5), PAID),
    "three": (LGBMClassifier(**SMALL), np.array(["a", "b", "c"])[np.arange(400) % 3]),
    "each": (LGBMClassifier(**SMALL, objective="multiclassova"), np.arange(400) % 3),
    "value": (LGBMRegressor(**SMALL), PEOPLE["age"] * 1000.0),
    "median": (LGBMRegressor(**SMALL, objective="quantile", alpha=0.5), PEOPLE["age"] / 7),
    "count": (LGBMRegressor(**SMALL, objective="poisson"), np.arange(400) % 5),
    "forest": (
        LGBMRegressor(**SMALL, boosting_type="rf", bagging_freq=1, bagging_fraction=0.5),
        PEOPLE["age"] / 7,
    ),
    "one category against the rest": (LGBMClassifier(**SMALL, max_cat_to_onehot=10), PAID),
    "nothing to learn": (LGBMRegressor(**SMALL), np.ones(400)),
}


def written(path: Path, model: Any, sample: Any) -> Any:
    """The original, once it was asked for its rows and written."""
    original = original_of(model, sample)
    assert original.inputs
    original.export(path)
    return original


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_answers_what_the_model_answers(tmp_path: Path, kind: str) -> None:
    """To rows that it was not trained on, and to those that lie exactly on a threshold or have nothing."""
    model, truth = KINDS[kind]
    model.fit(PEOPLE, truth)
    edges = pd.concat([OTHERS] * 2, ignore_index=True)
    told = [str(threshold) for threshold in model.booster_.trees_to_dataframe()["threshold"].dropna()]
    thresholds = [float(threshold) for threshold in told if "||" not in threshold][:400]
    for column in ("debt", "hours-per-week"):
        edges.loc[: len(thresholds) - 1, column] = thresholds
    edges.loc[790:, ["hours-per-week", "debt"]] = np.nan
    original = written(tmp_path / "model.onnx", model, edges)
    servable, signature = open_model(tmp_path / "model.onnx")
    ((name, want),) = original.answer().items()
    got = servable.predict(original.inputs)[name]

    assert original.framework == "LightGBM"
    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [
        ("age", "int64", (-1,)),
        ("hours-per-week", "float64", (-1,)),
        ("job", "string", (-1,)),
        ("member", "bool", (-1,)),
        ("debt", "float64", (-1,)),
    ]
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def regression() -> tuple[Any, Any]:
    """Trees at the end of a pipeline."""
    return make_pipeline(encoder(), LGBMRegressor(**SMALL)), PEOPLE["age"] * 7.0


def classes() -> tuple[Any, Any]:
    """The same, to names."""
    return make_pipeline(encoder(), LGBMClassifier(**SMALL)), np.where(PAID, "paid", "not")


def several() -> tuple[Any, Any]:
    """Two of them, of which one learns from the other."""
    trees = [("a", LGBMClassifier(**SMALL)), ("b", LGBMClassifier(**SMALL, num_leaves=4))]
    return make_pipeline(encoder(), StackingClassifier(trees, cv=2)), PAID


def encoder() -> Any:
    """What makes numbers of a table's texts."""
    return make_column_transformer((OneHotEncoder(), ["job"]), remainder="passthrough")


@pytest.mark.parametrize("make", [regression, classes, several])
def test_trees_are_a_step_of_a_pipeline(tmp_path: Path, make: Any) -> None:
    """On a table with texts; numbers that are missing go through it."""
    known = PEOPLE.assign(job=PEOPLE["job"].astype(object).fillna("none"))
    pipeline, truth = make()
    original = original_of(pipeline.fit(known, truth), known)
    original.export(tmp_path / "model.onnx")
    ((name, want),) = original.answer().items()
    got = open_model(tmp_path / "model.onnx")[0].predict(original.inputs)[name]

    assert original.columns["hours-per-week"].may_be_missing
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_the_sample_says_what_is_missing_and_the_model_which_categories_there_are() -> None:
    """Also those that the sample does not have."""
    model = LGBMClassifier(**SMALL).fit(PEOPLE, PAID)
    few = PEOPLE[PEOPLE["job"] == "Cook"].copy()
    few["job"] = few["job"].cat.remove_unused_categories()

    assert original_of(model, few).columns == {
        "age": Column(),
        "hours-per-week": Column(may_be_missing=True),
        "job": Column(categories=tuple(JOBS)),
        "member": Column(),
        "debt": Column(),
    }
    assert original_of(model, few).labels == ("0", "1")


def test_an_array_stays_one_tensor(tmp_path: Path) -> None:
    """Of doubles, in which LightGBM compares."""
    rows = DICE.random((200, 3))
    model = LGBMRegressor(**SMALL).fit(rows, rows[:, 0] * 7)
    original = written(tmp_path / "model.onnx", model, rows)
    servable, signature = open_model(tmp_path / "model.onnx")

    assert [(spec.name, spec.dtype, spec.shape) for spec in signature.inputs] == [("x", "float64", (-1, 3))]
    assert original.columns == {}
    np.testing.assert_allclose(servable.predict({"x": rows})["prediction"], model.predict(rows), rtol=1e-6)


@pytest.mark.parametrize(
    ("model", "sample", "code", "told"),
    [
        (LGBMClassifier(), PEOPLE, Code.FAILED_PRECONDITION, "not trained"),
        (LGBMClassifier(**SMALL).fit(PEOPLE, PAID).booster_, PEOPLE, Code.UNIMPLEMENTED, "Booster of LightGBM"),
        (LGBMRegressor(**SMALL, reg_sqrt=True).fit(PEOPLE, PAID), PEOPLE, Code.UNIMPLEMENTED, "sqrt"),
        (LGBMRegressor(**SMALL, linear_tree=True).fit(PEOPLE, PAID), PEOPLE, Code.UNIMPLEMENTED, "linear_tree"),
        (
            LGBMRanker(**SMALL).fit(PEOPLE, PAID, group=[400]),
            PEOPLE,
            Code.UNIMPLEMENTED,
            "objective 'lambdarank' has no counterpart",
        ),
        (
            LGBMClassifier(**SMALL, zero_as_missing=True).fit(PEOPLE, PAID),
            PEOPLE,
            Code.UNIMPLEMENTED,
            "zero_as_missing",
        ),
        (
            LGBMClassifier(**SMALL).fit(PEOPLE, PAID),
            PEOPLE.drop(columns="age"),
            Code.INVALID_ARGUMENT,
            r"lacks \['age'\]",
        ),
        (
            LGBMClassifier(**SMALL).fit(PEOPLE, PAID),
            PEOPLE.assign(job=PEOPLE["job"].astype(object)),
            Code.INVALID_ARGUMENT,
            "0 columns of the sample are categories, and 1 were in training",
        ),
        (LGBMClassifier(**SMALL).fit(PEOPLE, PAID), PEOPLE[:0], Code.INVALID_ARGUMENT, "no rows"),
        (
            LGBMClassifier(**SMALL).fit(PEOPLE, PAID),
            PEOPLE.assign(debt=np.inf),
            Code.INVALID_ARGUMENT,
            "column 'debt' of the sample holds inf",
        ),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path: Path, model: Any, sample: Any, code: Code, told: str) -> None:
    """With what to do about it."""
    with pytest.raises(FairleadError, match=told) as caught:
        written(tmp_path / "model.onnx", model, sample)
    assert caught.value.code is code
