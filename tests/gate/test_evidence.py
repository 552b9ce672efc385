"""Evidence is valid once built."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.gate.evidence import DataEvidence, ModelEvidence, predicted_classes

Build = Callable[..., ModelEvidence]
DATA = DataEvidence(
    labels=("ham", "spam"), train_counts=(900, 300), held_out_counts=(200, 100), overlap=0, non_finite=0
)


def test_rows_are_summed_over_classes() -> None:
    """A data set's rows are those of all its classes."""
    assert (DATA.train_rows, DATA.held_out_rows) == (1200, 300)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ()},
        {"labels": ("ham", "ham")},
        {"train_counts": (900,)},
        {"train_counts": (900, -1)},
        {"held_out_counts": (1, 2, 3)},
        {"held_out_counts": (-1, 301)},
        {"overlap": 301},
        {"overlap": -1},
        {"non_finite": -1},
    ],
)
def test_counts_that_cannot_be_are_refused(change: dict[str, Any]) -> None:
    """Labels that repeat, counts that do not fit them, and impossible counts are refused."""
    with pytest.raises(FairleadError) as caught:
        replace(DATA, **change)

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_every_held_out_row_may_overlap() -> None:
    """An overlap of all held-out rows is possible, if bad."""
    assert replace(DATA, overlap=300).overlap == 300


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ("ham",)},
        {"labels": ("ham", "ham")},
        {"truth": np.array([0, 1])},
        {"truth": np.array([0, 1, 2])},
        {"truth": np.array([0, 1, -1])},
        {"truth": np.array([0.0, 1.0, 1.0])},
        {"truth": np.array([0, 1, 1], dtype=np.uint64)},
        {"truth": np.array([[0, 1, 1]])},
        {"candidate": np.ones((3, 3), np.float32)},
        {"candidate": np.ones((2, 2), np.float32)},
        {"native": np.ones(3, np.float32)},
        {"native": np.ones((3, 2), np.int64)},
        {"champion": np.ones((3, 3), np.float32)},
        {"champion_name": ""},
        {"champion_signature": None},
    ],
)
def test_arrays_that_do_not_fit_are_refused(model_evidence: Build, change: dict[str, Any]) -> None:
    """Truth and outputs must agree in rows and classes, and a champion's outputs come with its name and signature."""
    evidence = model_evidence([0, 1, 1], [0, 1, 0], champion=[0, 1, 1])

    with pytest.raises(FairleadError) as caught:
        replace(evidence, **change)

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_rows_are_counted_by_class(model_evidence: Build) -> None:
    """Each class has its count, also a class that never occurs."""
    evidence = model_evidence([1, 1, 0], [0, 0, 0], labels=("a", "b", "c"))

    assert evidence.rows == 3
    assert evidence.class_rows.tolist() == [1, 2, 0]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_predicts_no_class(poison: float) -> None:
    """A row with a NaN or an infinity in any place predicts nothing."""
    outputs = np.array([[0.1, 0.9], [poison, 0.2], [0.2, poison]])

    assert predicted_classes(outputs).tolist() == [1, -1, -1]
