"""Shares of predicted classes, held against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.errors import FairleadError
from fairlead.monitoring.class_shares import class_shift


@given(counts=st.lists(st.tuples(st.integers(20, 500), st.integers(20, 500)), min_size=2, max_size=12))
def test_the_p_value_is_scipys(counts: list[tuple[int, int]]) -> None:
    """Where every class is common enough it is scipy's chi-squared test of a table."""
    stable, candidate = zip(*counts, strict=True)
    if stats.contingency.expected_freq([stable, candidate]).min() < 5:
        return

    shift = class_shift(stable, candidate)

    assert shift is not None
    assert shift.p == pytest.approx(stats.chi2_contingency([stable, candidate], correction=False).pvalue, rel=1e-7)


def test_rare_classes_are_tested_as_one() -> None:
    """A hundred classes of one prediction each are one class with the others of their kind."""
    stable, candidate = [450, *[5] * 100], [50, *[1] * 100]

    shift = class_shift(stable, candidate)

    assert shift is not None
    assert shift.p == pytest.approx(stats.chi2_contingency([[450, 500], [50, 100]], correction=False).pvalue)


def test_the_class_that_moved_most_is_named() -> None:
    """The distance is the total variation distance, and the class the one with the widest gap."""
    shift = class_shift([100, 100, 100], [130, 40, 130])

    assert shift is not None
    assert shift.class_index == 1
    assert (shift.stable_share, shift.candidate_share) == pytest.approx((1 / 3, 2 / 15))
    assert shift.distance == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("stable", "candidate"), [([], []), ([0, 0], [5, 5]), ([500, 0], [50, 0]), ([3, 3], [3, 3]), ([900, 1], [100, 0])]
)
def test_too_few_predictions_say_nothing(stable: list[int], candidate: list[int]) -> None:
    """An empty arm, a single class, or too few of all but one: no answer, which is not a pass."""
    assert class_shift(stable, candidate) is None


def test_negative_counts_are_refused() -> None:
    """A count of predictions cannot be negative."""
    with pytest.raises(FairleadError):
        class_shift([1, -1], [1, 1])


def test_equal_versions_are_seldom_told_apart() -> None:
    """Of 2,000 pairs of equal versions at 50 and 450 predictions, at most the promised share has a p below 1 %."""
    rng = np.random.default_rng(3)
    shares = np.array([0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01])
    stable, candidate = rng.multinomial(450, shares, 2000), rng.multinomial(50, shares, 2000)
    shifts = [class_shift(old, new) for old, new in zip(stable.tolist(), candidate.tolist(), strict=True)]

    assert sum(shift is not None and shift.p < 0.01 for shift in shifts) <= 20 + 3 * 4.5
