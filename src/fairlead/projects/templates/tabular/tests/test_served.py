"""What is served, asked as clients ask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fairlead.training.recipe import Recipe, Sources
from fairlead.training.run import Run, find_profile

Ask = Callable[[object], tuple[int, Any]]

ROWS = 50


def test_a_server_answers_as_the_model(recipe: Recipe, sources: Sources, ask: Ask, tmp_path: Path) -> None:
    """Each label and each probability, for rows that it has not learnt; the same seed makes the same model."""
    split = recipe.split(recipe.load(sources), seed=0)
    model = recipe.train(split, Run(seed=0, profile=find_profile("dev"), log_dir=tmp_path))
    asked = split.held_out.take(np.arange(ROWS))
    names, columns = list(asked.columns), [array.tolist() for array in asked.columns.values()]

    status, answer = ask({"instances": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]})

    says = recipe.predict(model, asked.inputs)
    assert status == 200, answer
    assert [found["label"] for found in answer["predictions"]] == [recipe.labels[best] for best in says.argmax(axis=1)]
    told = [[found["probabilities"][label] for label in recipe.labels] for found in answer["predictions"]]
    assert np.abs(np.array(told) - says).max() < 1e-5


def test_a_row_that_is_wrong_is_refused_with_the_reason(ask: Ask) -> None:
    """A category that was never learnt is no guess: the caller hears of it."""
    row = {"kind": "magnetic", "hours": 1200, "temperature": 61.5, "vibration": 2.4}

    status, answer = ask({"row": row})

    assert (status, answer["error"]["code"]) == (400, "INVALID_ARGUMENT")
    assert "magnetic" in answer["error"]["message"]
