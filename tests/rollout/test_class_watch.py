"""Shares of predicted classes while a rollout goes on."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.rollout.class_watch import ClassWatch

NAMES = tuple("abcdefghij")


def watch(min_distance: float = 0.1) -> ClassWatch:
    """A watch at 1 %."""
    return ClassWatch(alpha=0.01, min_distance=min_distance)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 500), cuts=st.lists(st.integers(0, 1500), max_size=6), vocabulary=st.sampled_from([10, 400]))
def test_predictions_may_be_folded_in_any_pieces(seed: int, cuts: list[int], vocabulary: int) -> None:
    """All at once, in pieces, or through JSON between them: the same, also with more classes than are told apart."""
    rng = np.random.default_rng(seed)
    names = tuple(str(number) for number in range(vocabulary))
    candidate, predicted = rng.random(1500) < 0.3, rng.integers(-1, vocabulary, 1500)
    whole, pieces = watch(), watch()
    for weight in (0.3, 0.5):
        whole.add(weight, candidate, predicted, names)
        for arm, classes in zip(np.split(candidate, sorted(cuts)), np.split(predicted, sorted(cuts)), strict=True):
            pieces.add(weight, arm, classes, names)
            pieces = ClassWatch.from_json(json.loads(json.dumps(pieces.to_json())))

    assert pieces == whole
    assert len(whole.names) <= 257


def test_equal_arms_are_seldom_told_apart() -> None:
    """Of 400 equal candidates with 800 predictions each, at most what alpha allows alarm (three sigma)."""
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(400):
        one = watch(min_distance=0.0)
        one.add(0.1, rng.random(8000) < 0.1, rng.integers(10, size=8000), NAMES)
        alarms += bool(one.fault)

    assert alarms <= 4 + 3 * 2


@pytest.mark.parametrize(("min_distance", "found"), [(0.0, True), (0.1, False)])
def test_a_difference_too_small_to_matter_is_none(min_distance: float, found: bool) -> None:
    """Four points more of one class are certain in 10,000 predictions, and still no reason, unless one says so."""
    rng = np.random.default_rng(3)
    candidate = rng.random(20_000) < 0.5
    one = watch(min_distance)
    one.add(0.5, candidate, np.where(candidate & (rng.random(20_000) < 0.04), 0, rng.integers(10, size=20_000)), NAMES)

    assert bool(one.fault) is found


def test_only_predictions_of_one_weight_meet() -> None:
    """A mix that changed with the step is the same for both arms of each step."""
    rng = np.random.default_rng(4)
    one = watch()
    one.add(0.1, rng.random(5000) < 0.1, rng.integers(0, 5, 5000), NAMES)
    one.add(0.9, rng.random(5000) < 0.9, rng.integers(5, 10, 5000), NAMES)

    assert not one.fault
    assert one.tests > 5
