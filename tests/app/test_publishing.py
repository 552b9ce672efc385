"""A trained object becomes a version that answers the same, or nothing of it is left."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge

import fairlead
from fairlead import _PLACES
from fairlead.app import publishing
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store

IRIS = load_iris()
NAMES = ("setosa", "versicolor", "virginica")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home of its own."""
    return Settings(home=tmp_path / "home")


@pytest.fixture(scope="module")
def forest() -> Any:
    """A classifier of three flowers."""
    return RandomForestClassifier(n_estimators=10, random_state=0).fit(IRIS.data, IRIS.target)


def trace(settings: Settings) -> list[str]:
    """Everything that there is."""
    places = (settings.store_path, settings.home / "work")
    return sorted(str(path) for place in places if place.exists() for path in place.rglob("*"))


def refusal(settings: Settings, model: Any, sample: Any = IRIS.data, **options: Any) -> FairleadError:
    """Why the model is not published; nothing of it is left."""
    before = trace(settings)
    with pytest.raises(FairleadError) as caught:
        fairlead.publish(model, name="iris", sample=sample, settings=settings, **options)
    assert trace(settings) == before
    assert caught.value.hint or "not finite" in caught.value.message
    return caught.value


def test_the_first_of_a_name_serves(settings: Settings, forest: Any) -> None:
    """With its signature, its classes, where it came from, and golden rows that are the object's own answers."""
    done = fairlead.publish(forest, name="iris", sample=IRIS.data, labels=NAMES, settings=settings)
    version = Store(settings.store_path).open(ServableId("iris", 1))
    golden = Golden.load(version.directory / GOLDEN_FILE)

    assert done.version == ServableId("iris", 1)
    assert done.is_released
    assert version.manifest.signature == done.signature
    assert version.manifest.labels == NAMES
    assert version.manifest.lineage["original"] == {
        "framework": "scikit-learn",
        "kind": "RandomForestClassifier",
    }
    assert "scikit-learn" in version.manifest.lineage["libraries"]
    assert version.manifest.cost is not None
    np.testing.assert_array_equal(golden.inputs["x"], IRIS.data[:8].astype(np.float32))
    np.testing.assert_array_equal(golden.outputs["probabilities"], forest.predict_proba(IRIS.data[:8]))


def test_what_was_published_reads_well(settings: Settings, forest: Any) -> None:
    """Signature, classes and each check, as a notebook shows it."""
    shown = repr(fairlead.publish(forest, name="iris", sample=IRIS.data, labels=NAMES, settings=settings))

    assert shown.startswith(
        "published iris@1, which serves\n"
        "takes  x float32[-1, 4]\n"
        "gives  probabilities float32[-1, 3]\n"
        "labels setosa, versicolor, virginica\n"
    )
    assert "over 150 rows the largest difference from scikit-learn is" in shown


def test_later_ones_wait(settings: Settings, forest: Any) -> None:
    """They have the classes of the one that serves, and are tried or promoted by a person or a rollout."""
    fairlead.publish(forest, name="iris", sample=IRIS.data, labels=NAMES, settings=settings)
    done = fairlead.publish(forest, name="iris", sample=IRIS.data, settings=settings)

    assert (done.version, done.is_released, done.labels) == (ServableId("iris", 2), False, NAMES)
    assert "published iris@2, which waits to be tried or promoted" in repr(done)


def test_another_signature_under_a_name_is_refused(settings: Settings, forest: Any) -> None:
    """Its callers could not call it; so are other classes."""
    fairlead.publish(forest, name="iris", sample=IRIS.data, labels=NAMES, settings=settings)
    other = Ridge().fit(IRIS.data[:, :2], IRIS.target)

    assert "input 'x' float32[-1, 2] was 'x' float32[-1, 4]" in refusal(settings, other, IRIS.data[:, :2]).message
    assert "the classes were 'setosa'" in refusal(settings, forest, labels=("a", "b", "c")).message


def test_labels_that_do_not_fit_are_refused(settings: Settings, forest: Any) -> None:
    """Each number of the output has a name."""
    error = refusal(settings, forest, labels=("yes", "no"))

    assert error.code is Code.FAILED_PRECONDITION
    assert "2 labels for the 3 numbers of output 'probabilities'" in error.message


def test_a_sample_that_the_model_rejects_is_refused(settings: Settings, forest: Any) -> None:
    """With what the model says of it."""
    error = refusal(settings, forest, IRIS.data[:, :3])

    assert error.code is Code.INVALID_ARGUMENT
    assert "itself rejects the sample: ValueError: X has 3 features, but RandomForestClassifier is exp" in error.message


def test_a_sample_that_no_caller_could_send_is_refused(settings: Settings, forest: Any) -> None:
    """A number that is not finite is not let in by any protocol."""
    rows = IRIS.data.copy()
    rows[3, 1] = np.nan

    assert "the sample holds nan in row 3" in refusal(settings, forest, rows).message


def test_a_batch_of_one_is_refused(settings: Settings) -> None:
    """Rows of a request run together, so axis 0 has to be free."""
    given = keras.Input(batch_shape=(1, 4))
    model = keras.Model(given, keras.layers.Dense(3)(given))

    message = refusal(settings, model, IRIS.data[:1]).message
    assert "axis 0 is free, and it is not in 'x' float32[1, 4], 'output' float32[1, 3]" in message


class Summing(Ridge):  # type: ignore[misc]  # scikit-learn is untyped
    """A regressor that answers all rows at once."""

    def predict(self, rows: Any) -> Any:
        return super().predict(rows).sum(keepdims=True)


def test_an_answer_for_all_rows_at_once_is_refused(settings: Settings) -> None:
    """Requests run together, and each gets its own rows back."""
    message = refusal(settings, Summing().fit(IRIS.data, IRIS.target)).message

    assert "the Summing's prediction have shape [1] for 150 rows: axis 0 is not theirs" in message


class Moody(LogisticRegression):  # type: ignore[misc]  # scikit-learn is untyped
    """A classifier that says something else each time."""

    def predict_proba(self, rows: Any) -> Any:
        self.mood = getattr(self, "mood", 0) + 1
        return super().predict_proba(rows) ** self.mood


class Speechless(Ridge):  # type: ignore[misc]  # scikit-learn is untyped
    """A regressor that divides by zero."""

    def predict(self, rows: Any) -> Any:
        return super().predict(rows) * np.nan


def test_an_object_that_changes_its_answer_is_refused(settings: Settings) -> None:
    """Nothing could prove that the file answers the same."""
    moody = Moody(max_iter=500).fit(IRIS.data, IRIS.target)

    assert "changes its answer from one call to the next: probabilities differ by" in refusal(settings, moody).message


def test_a_file_that_answers_otherwise_is_refused(settings: Settings) -> None:
    """Numbers that float32 cannot tell apart are told apart by the object alone."""
    seconds = 1.7e9 + np.arange(60.0).reshape(-1, 1)
    model = HistGradientBoostingClassifier(max_iter=9, min_samples_leaf=1).fit(seconds, np.arange(60) % 2)

    message = refusal(settings, model, seconds).message
    assert re.search(
        r"over 60 rows the largest difference from scikit-learn is 0\.\d+, .* more than the 1e-05", message
    )


def test_answers_that_are_not_finite_are_refused(settings: Settings) -> None:
    """They prove nothing."""
    assert "hold numbers that are not finite" in refusal(settings, Speechless().fit(IRIS.data, IRIS.target)).message


def test_a_name_that_is_none_is_refused_first(settings: Settings) -> None:
    """Before anybody is asked."""
    with pytest.raises(FairleadError, match="model name"):
        fairlead.publish(object(), name="../iris", sample=None, settings=settings)


def test_the_package_is_light_until_it_is_used() -> None:
    """Importing it imports no model's framework, and no numpy; its names are found, and no others."""
    code = "import fairlead, sys; print([name for name in ('numpy', 'onnxruntime', 'sklearn') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout == "[]\n"
    assert fairlead.publish is publishing.publish
    assert [getattr(fairlead, name).__name__ for name in _PLACES] == fairlead.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fairlead.nothing
