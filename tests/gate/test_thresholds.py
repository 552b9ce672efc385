"""The lines the gate draws."""

import math

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.gate.thresholds import Thresholds


@pytest.mark.parametrize(
    "threshold",
    [
        {"min_accuracy": 97.0},
        {"min_class_recall": -0.1},
        {"champion_alpha": math.nan},
        {"max_share_excess": 1.01},
        {"export_tolerance": -1e-9},
        {"export_tolerance": math.inf},
        {"sum_tolerance": math.nan},
        {"min_train_rows": 0},
        {"min_train_rows_per_class": 0},
        {"min_held_out_rows": 0},
        {"min_held_out_rows_per_class": -1},
    ],
)
def test_a_threshold_out_of_range_is_refused_by_name(threshold: dict[str, float]) -> None:
    """A share outside 0..1, a tolerance below 0 or without end, or a floor of no rows is refused by its name."""
    with pytest.raises(FairleadError, match=next(iter(threshold))) as caught:
        Thresholds(**threshold)  # type: ignore[arg-type]  # the parameters mix floats and row counts

    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "threshold",
    [{"min_accuracy": 0.0}, {"min_accuracy": 1.0}, {"export_tolerance": 0.0}, {"min_held_out_rows": 1}],
)
def test_the_ends_of_a_range_are_legal(threshold: dict[str, float]) -> None:
    """A share of exactly 0 or 1, a tolerance of 0 and a floor of one row can be asked for."""
    name, value = next(iter(threshold.items()))

    assert getattr(Thresholds(**threshold), name) == value  # type: ignore[arg-type]  # as above
