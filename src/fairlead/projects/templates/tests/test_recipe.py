"""The recipe by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fairlead.training.dataset import Split, overlap
from fairlead.training.recipe import Recipe, Sources
from fairlead.training.run import Run, find_profile
from fairlead.training.trainer import answers


@pytest.fixture(scope="module")
def split(recipe: Recipe, sources: Sources) -> Split:
    """The rows of one training."""
    return recipe.split(recipe.load(sources), seed=0)


@pytest.fixture(scope="module")
def model(recipe: Recipe, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the recipe trains."""
    return recipe.train(split, Run(seed=0, profile=find_profile("dev"), log_dir=tmp_path_factory.mktemp("log")))


def test_no_held_out_row_is_learnt(split: Split) -> None:
    """What the model is judged by is new to it."""
    assert overlap(split) == 0
    assert min(len(split.train), len(split.held_out)) > 0


def test_the_same_rows_are_held_out_each_time(recipe: Recipe, sources: Sources, split: Split) -> None:
    """A later version is judged by rows that no earlier one has learnt."""
    again = recipe.split(recipe.load(sources), seed=1).held_out

    assert np.array_equal(again.labels, split.held_out.labels)


def test_the_exported_file_answers_as_the_model(recipe: Recipe, split: Split, model: Any, tmp_path: Path) -> None:
    """On every held-out row."""
    recipe.export(model, tmp_path / "model.onnx")

    says = recipe.predict(model, split.held_out.inputs)

    assert np.abs(answers(tmp_path / "model.onnx", split.held_out) - says).max() < 1e-5
