"""From a recipe to a candidate, with a recipe that needs no framework."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import Golden
from fairlead.servable.runtimes.onnx import open_model
from fairlead.training.dataset import Dataset, Rows, Split, data_digest
from fairlead.training.recipe import Recipe
from fairlead.training.run import Run
from fairlead.training.trainer import Candidate, train


def make(recipe: Any, run: Run, work: Path, *, dataset: Dataset | None = None) -> Candidate:
    """Train the recipe on its own data."""
    data = dataset or recipe.load(None)
    return train(cast("Recipe", recipe), data, recipe.split(data, 1), run, work)


def failure(recipe: Any, run: Run, work: Path, *, dataset: Dataset | None = None) -> FairleadError:
    """The error that training raises."""
    with pytest.raises(FairleadError) as caught:
        make(recipe, run, work, dataset=dataset)
    return caught.value


def test_candidate_is_a_directory_with_three_files(shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """Training leaves the exported model, the golden rows and the reference, and nothing else."""
    candidate = make(shades, one_epoch, tmp_path / "work")

    assert sorted(path.name for path in candidate.directory.iterdir()) == [
        "golden.npz",
        "model.onnx",
        "reference.json",
    ]
    assert candidate.labels == ("dark", "middle", "light")
    assert [(spec.name, spec.shape) for spec in candidate.signature.inputs] == [("square", (-1, 2, 2))]


def test_evidence_covers_every_held_out_row(shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """Both models' probabilities and the truth are there for all held-out rows, and agree."""
    candidate = make(shades, one_epoch, tmp_path / "work")

    assert candidate.native.shape == candidate.exported.shape == (30, 3)
    assert candidate.native.dtype == candidate.exported.dtype == np.float32
    assert np.abs(candidate.native - candidate.exported).max() < 1e-6
    assert candidate.truth.tolist() == [0, 1, 2] * 10
    assert candidate.metrics["accuracy"] == candidate.metrics["native_accuracy"] == 1.0
    assert candidate.metrics["held_out_rows"] == 30


def test_golden_rows_prove_the_exported_model(shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """The golden file holds eight real rows with the trained model's outputs, which the export reproduces."""
    candidate = make(shades, one_epoch, tmp_path / "work")
    golden = Golden.load(candidate.directory / "golden.npz")

    assert golden.inputs["square"].shape == (8, 2, 2)
    assert set(golden.outputs["probs"].argmax(axis=1)) == {0, 1, 2}
    assert golden.prove(open_model(candidate.directory / "model.onnx")[0]) < 1e-6


def test_golden_rows_are_ones_the_model_gets_right(shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """A class that the model never gets right is shown by a wrong row, and only then."""
    data = shades.load(None)
    labels = np.where(data.held_out.labels == 2, 1, data.held_out.labels)  # the light ones are called middle
    mislabelled = Dataset(
        train=data.train, held_out=Rows(inputs=data.held_out.inputs, labels=labels), source=data.source
    )
    candidate = make(shades, one_epoch, tmp_path / "work", dataset=mislabelled)
    golden = Golden.load(candidate.directory / "golden.npz")

    assert set(golden.outputs["probs"].argmax(axis=1)) == {0, 1}
    assert candidate.metrics["worst_class_recall"] == 0.5


def test_lineage_says_where_the_model_came_from(shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """Data, code, libraries and choices are in the lineage, which is plain JSON."""
    lineage = make(shades, one_epoch, tmp_path / "work").lineage

    assert lineage["data"] == {
        "source": "squares made for a test",
        "origin": {"kind": "made up"},
        "sha256": data_digest(shades.load(None)),
    }
    assert (lineage["seed"], lineage["profile"], lineage["epochs"]) == (3, "tiny", 1)
    assert lineage["params"] == {"slope": 40}
    assert {"python", "numpy", "onnxruntime"} <= lineage["libraries"].keys()
    assert lineage["code_revision"]
    json.dumps(dict(lineage), allow_nan=False)


@pytest.mark.parametrize(("part", "purpose"), [("train", "train on"), ("held_out", "judge on")])
def test_no_rows_no_training(part: str, purpose: str, shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """Without rows to learn from or to judge on nothing is trained."""
    data = shades.load(None)
    parts = {"train": data.train, "held_out": data.held_out}
    parts[part] = parts[part].take(np.array([], np.int64))

    error = failure(shades, one_epoch, tmp_path / "work", dataset=Dataset(**parts, source="nothing"))

    assert error.code == Code.FAILED_PRECONDITION
    assert purpose in error.message
    assert not (tmp_path / "work").exists()


def test_second_output_is_refused(shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """A model that is not one tensor in and one tensor of class probabilities out is refused with its signature."""
    shades.outputs = 2

    assert "probs1" in failure(shades, one_epoch, tmp_path / "work").message


def test_diverged_training_is_refused(shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """A model that answers with NaN is no candidate."""
    shades.scale = float("nan")

    error = failure(shades, one_epoch, tmp_path / "work")

    assert error.code == Code.FAILED_PRECONDITION
    assert "not finite" in error.message


def test_misshapen_answer_is_refused(
    shades: Any, one_epoch: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe whose predict gives one number a row is told which shape is wanted."""

    def predict(model: object, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.zeros(len(inputs), np.float32)

    monkeypatch.setattr(shades, "predict", predict)

    assert "[30, 3] is wanted" in failure(shades, one_epoch, tmp_path / "work").message


def test_split_comes_from_the_caller(shades: Any, one_epoch: Run, tmp_path: Path) -> None:
    """The rows judged are the split's, whatever the data set holds beside."""
    data = shades.load(None)
    split = shades.split(data, 1)
    few = Split(train=split.train, validation=split.validation, held_out=data.held_out.take(np.arange(5)))

    assert len(train(cast("Recipe", shades), data, few, one_epoch, tmp_path / "work").truth) == 5
