"""The detectors, held against scipy and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fairlead.monitoring.drift.chi_squared import chi_squared
from fairlead.monitoring.drift.false_discovery import discoveries
from fairlead.monitoring.drift.kolmogorov_smirnov import curve_at_quantiles, kolmogorov_smirnov
from fairlead.monitoring.drift.page_hinkley import Direction, PageHinkley, Sums, advance, normal_scores
from fairlead.monitoring.drift.psi import psi, psi_of_chance
from fairlead.monitoring.drift.reference import NumericReference
from fairlead.monitoring.drift.two_shares import fisher_exact

COUNTS = st.lists(st.integers(5, 500), min_size=2, max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(5, 500), st.integers(5, 500)), min_size=2, max_size=12))
def test_chi_squared_is_scipys(pairs: list[tuple[int, int]]) -> None:
    """For two rows of counts the statistic and the p-value are those of scipy's test of homogeneity."""
    reference, observed = (np.array(column, np.float64) for column in zip(*pairs, strict=True))

    statistic, p = chi_squared(reference, observed)

    expected = stats.chi2_contingency(np.stack([reference, observed]), correction=False)
    assert statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), rows=st.integers(100, 2_000), shift=st.floats(-1, 1))
def test_kolmogorov_smirnov_is_scipys_at_the_quantiles(seed: int, rows: int, shift: float) -> None:
    """The distance is never above that of the full samples and close to it; so the p-value errs to the quiet side."""
    rng = np.random.default_rng(seed)
    reference, window = rng.standard_normal(5_000), np.sort(rng.standard_normal(rows) + shift)
    quantiles = np.quantile(reference, np.linspace(0, 1, 201))

    distance, p = kolmogorov_smirnov(curve_at_quantiles(window, quantiles), rows, len(reference))

    expected = stats.ks_2samp(reference, window, method="asymp")
    assert distance <= expected.statistic + 1e-3
    assert distance == pytest.approx(expected.statistic, abs=0.02)
    assert p >= expected.pvalue * 0.5


@given(
    st.lists(st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)), min_size=2, max_size=20),
    st.floats(0.5, 5),
)
def test_psi_is_the_symmetric_divergence(pairs: list[tuple[float, float]], scale: float) -> None:
    """It is the sum of both Kullback-Leibler divergences, and the size of the counts does not matter."""
    reference, observed = (np.array(column) / sum(column) for column in zip(*pairs, strict=True))

    expected = stats.entropy(reference, observed) + stats.entropy(observed, reference)
    assert psi(reference * 1e6, observed * 1e6 * scale) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_the_index_of_chance_is_what_counting_gives() -> None:
    """Without drift the mean index of a window is about the bins less one, over the rows."""
    rng = np.random.default_rng(3)
    found = [
        psi(
            rng.multinomial(10_000, np.full(10, 0.1)).astype(float),
            rng.multinomial(500, np.full(10, 0.1)).astype(float),
        )
        for _ in range(2_000)
    ]
    assert psi_of_chance(10, 10_000, 500) == pytest.approx(np.mean(found), rel=0.1)


@given(st.integers(0, 40), st.integers(41, 200), st.integers(0, 40), st.integers(41, 200))
def test_two_shares_are_compared_as_scipy_does(a: int, n: int, b: int, m: int) -> None:
    """The p-value is twice the smaller of Fisher's two tails."""
    table = [[a, n - a], [b, m - b]]
    tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
    assert fisher_exact(a, n, b, m) == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-6, abs=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.001, 0.5))
def test_discoveries_are_benjaminis_and_hochbergs(p_values: list[float], rate: float) -> None:
    """Those whose adjusted p-value, as scipy has it, is at most the rate."""
    adjusted = stats.false_discovery_control(p_values, method="bh")
    found = discoveries(p_values, rate)
    for is_found, p in zip(found, adjusted, strict=True):
        assert is_found == (p <= rate) or p == pytest.approx(rate)


def test_a_change_is_found_with_its_row() -> None:
    """A rise after 5,000 quiet rows is told, in its direction, and the row that is named is near the true one."""
    rng = np.random.default_rng(11)
    known = NumericReference.describe("x", rng.standard_normal(10_000))
    detector = PageHinkley.tuned(quiet_rows=1e6, reference_rows=10_000)

    quiet = advance(Sums(), normal_scores(known, rng.standard_normal(5_000)), detector)
    changed = advance(quiet, normal_scores(known, rng.standard_normal(2_000) + 0.5), detector)

    assert quiet.change is None
    assert changed.change is not None
    assert changed.change.direction is Direction.UP
    assert abs(changed.change.began - 5_000) < 200


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=8))
def test_a_stream_may_be_cut_anywhere(sizes: list[int]) -> None:
    """Folding a stream in pieces gives what folding it at once gives."""
    rng = np.random.default_rng(5)
    known = NumericReference.describe("x", rng.standard_normal(5_000))
    detector = PageHinkley.tuned(quiet_rows=1e4, reference_rows=5_000)
    scores = normal_scores(known, rng.standard_normal(sum(sizes)) + 0.3)

    pieces = Sums()
    for piece in np.split(scores, np.cumsum(sizes)[:-1]):
        pieces = advance(pieces, piece, detector)

    assert pieces.change == advance(Sums(), scores, detector).change
