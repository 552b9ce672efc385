"""The report of an experiment, held against scipy and against simulated experiments."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.errors import FairleadError
from fairlead.monitoring.experiment import (
    ArmLabels,
    difference_interval,
    difference_p,
    needed_labels,
    paired_interval,
    report,
    split_p,
    stratified_interval,
)


def arm(right: int, labelled: int, answered: int | None = None) -> ArmLabels:
    """An arm, all of whose rows have a label unless told otherwise."""
    return ArmLabels(answered=labelled if answered is None else answered, labelled=labelled, right=right)


@given(hits=st.tuples(st.integers(1, 99), st.integers(1, 199)))
def test_the_p_value_is_scipys(hits: tuple[int, int]) -> None:
    """It is the chi-squared test of the table of two, without a correction."""
    old, new = hits
    expected = stats.chi2_contingency([[old, 100 - old], [new, 200 - new]], correction=False).pvalue

    assert difference_p(old, 100, new, 200) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize(
    ("new", "old", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_is_newcombes(new: tuple[int, int], old: tuple[int, int], low: float, high: float) -> None:
    """The published examples of method 10 come out as published."""
    assert difference_interval(arm(*old), arm(*new), 0.95) == pytest.approx((low, high), abs=1e-4)


@given(rows=st.integers(1, 100_000), weight=st.floats(0.01, 0.99), share=st.floats(0.0, 1.0))
def test_the_split_is_tested_as_scipy_does(rows: int, weight: float, share: float) -> None:
    """The sample-ratio mismatch test is the chi-squared test of two counts against the plan."""
    candidates = round(share * rows)
    expected = stats.chisquare([candidates, rows - candidates], [rows * weight, rows * (1.0 - weight)]).pvalue

    assert split_p(candidates, [(rows, weight)]) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_weights_that_changed_are_each_held_against_their_own_plan() -> None:
    """A split as planned in every step is as planned, though no single weight fits the whole."""
    assert split_p(600, [(1000, 0.1), (1000, 0.5)]) == 1.0
    assert split_p(1000, [(1000, 1.0)]) == 1.0
    assert split_p(999, [(1000, 1.0)]) == 0.0


@pytest.mark.parametrize("weight", [0.5, 0.2])
def test_the_needed_labels_give_the_power(weight: float) -> None:
    """Experiments of the needed size find the effect in about 80 % of runs."""
    rng = np.random.default_rng(4)
    n = needed_labels(0.9, 0.03, weight=weight)
    n_old = round(n * (1.0 - weight) / weight)
    new, old = rng.binomial(n, 0.87, 2000), rng.binomial(n_old, 0.9, 2000)
    found = sum(difference_p(a, n, b, n_old) < 0.05 for a, b in zip(new.tolist(), old.tolist(), strict=True))

    assert found / 2000 == pytest.approx(0.8, abs=0.04)


def test_strata_forgive_that_the_weight_rose_while_the_traffic_got_harder() -> None:
    """Two equal versions, of which the candidate answered mostly the later, harder rows: pooled it looks worse."""
    strata = [(arm(855, 900), arm(95, 100)), (arm(350, 500), arm(350, 500))]
    low, high = stratified_interval(strata, 0.95)
    pooled = difference_interval(arm(1205, 1400), arm(445, 600), 0.95)

    assert low < 0.0 < high
    assert pooled[1] < 0.0


@pytest.mark.parametrize("lost", [0.0, 0.02])
def test_intervals_cover_the_truth(lost: float) -> None:
    """Of 1,000 intervals at 90 %, of either kind, about 900 hold the true difference."""
    rng = np.random.default_rng(7)
    pairs = rng.multinomial(800, [0.03 + lost, 0.03, 0.94 - lost], 1000).tolist()
    paired = [paired_interval(worse, better, 800, 0.9) for worse, better, _ in pairs]
    drawn = [(rng.binomial(900, 0.9), rng.binomial(300, 0.9 - lost)) for _ in range(2000)]
    strata = [(arm(old, 900), arm(new, 300)) for old, new in drawn]
    apart = [stratified_interval([first, second], 0.9) for first, second in zip(strata[::2], strata[1::2], strict=True)]

    assert sum(low <= -lost <= high for low, high in paired) == pytest.approx(900, abs=30)
    assert sum(low <= -lost <= high for low, high in apart) == pytest.approx(900, abs=30)


def test_without_labels_of_both_arms_nothing_is_known() -> None:
    """Every interval is everything, every p-value 1, and the report says None."""
    told = report(arm(0, 0, 50), arm(0, 0, 50), weight=0.5)

    assert (told.effect, told.low, told.high, told.p, told.needed_candidate_labels) == (None, -1.0, 1.0, 1.0, None)
    assert paired_interval(0, 0, 0, 0.9) == stratified_interval([], 0.9) == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("stable", "candidate"), [(arm(90, 100, 1000), arm(90, 100, 2000)), (arm(90, 100, 1000), arm(450, 500, 1000))]
)
def test_arms_that_cannot_be_compared_are_told(stable: ArmLabels, candidate: ArmLabels) -> None:
    """A split that is off, or labels that come for one arm rather than the other, make the report invalid."""
    told = report(stable, candidate, weight=0.5)

    assert not told.is_valid
    assert json.loads(json.dumps(told.to_json(), allow_nan=False))["is_valid"] is False


@pytest.mark.parametrize(("answered", "labelled", "right"), [(1, 2, 1), (2, 1, 2), (1, 1, -1)])
def test_impossible_counts_are_refused(answered: int, labelled: int, right: int) -> None:
    """More labels than rows, or more right rows than labels, are an error."""
    with pytest.raises(FairleadError):
        ArmLabels(answered=answered, labelled=labelled, right=right)


@pytest.mark.parametrize(("accuracy", "effect", "weight"), [(0.9, 0.0, 0.5), (0.9, 0.1, 1.0), (1.1, 0.1, 0.5)])
def test_impossible_effects_need_no_labels(accuracy: float, effect: float, weight: float) -> None:
    """No effect, an arm without traffic, or an accuracy above 1 are an error."""
    with pytest.raises(FairleadError):
        needed_labels(accuracy, effect, weight=weight)
