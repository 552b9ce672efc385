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
    texts = asked.inputs.tolist()

    status, answer = ask({"instances": texts})

    says = recipe.predict(model, asked.inputs)
    assert status == 200, answer
    assert [found["label"] for found in answer["predictions"]] == [recipe.labels[best] for best in says.argmax(axis=1)]
    told = [[found["probabilities"][label] for label in recipe.labels] for found in answer["predictions"]]
    assert np.abs(np.array(told) - says).max() < 1e-5


def test_what_is_no_text_is_refused_with_the_reason(ask: Ask) -> None:
    """The caller hears of it."""
    status, answer = ask({"text": 5})

    assert (status, answer["error"]["code"]) == (400, "INVALID_ARGUMENT")
