"""The statistics, held against scipy and against each other."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.errors import FairleadError
from fairlead.significance.shares import mcnemar_worse, wilson_interval


@given(n=st.integers(1, 100_000), share=st.floats(0, 1), confidence=st.floats(0.5, 0.999))
def test_the_wilson_interval_is_scipys(n: int, share: float, confidence: float) -> None:
    """For any counts and any confidence the interval is the one scipy calls Wilson's."""
    successes = round(share * n)

    low, high = wilson_interval(successes, n, confidence)

    expected = stats.binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    assert low == pytest.approx(expected.low, abs=1e-12)
    assert high == pytest.approx(expected.high, abs=1e-12)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1))
def test_the_wilson_interval_holds_the_observed_share(n: int, share: float) -> None:
    """The interval lies within 0..1 and around the observed share."""
    successes = round(share * n)

    low, high = wilson_interval(successes, n)

    assert 0.0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1.0


def test_no_rows_mean_nothing_is_known() -> None:
    """The interval of no rows is everything from 0 to 1."""
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("successes", "n", "confidence"), [(-1, 10, 0.95), (11, 10, 0.95), (1, -1, 0.95), (5, 10, 0.0), (5, 10, 1.0)]
)
def test_impossible_counts_have_no_interval(successes: int, n: int, confidence: float) -> None:
    """More successes than rows, or a confidence of 0 or 1, are refused."""
    with pytest.raises(FairleadError):
        wilson_interval(successes, n, confidence)


@given(b=st.integers(0, 1_500), c=st.integers(0, 1_500))
def test_mcnemar_is_scipys_binomial_test(b: int, c: int) -> None:
    """The p-value is that of scipy's one-sided binomial test of b among b + c at 1/2."""
    expected = stats.binomtest(b, b + c, 0.5, alternative="greater").pvalue if b + c else 1.0

    assert mcnemar_worse(b, c) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(b=st.integers(0, 300), c=st.integers(0, 300))
def test_the_two_tails_meet(b: int, c: int) -> None:
    """P(>= b) and P(< b) add up to 1, and one more loss never makes the candidate look better."""
    below = mcnemar_worse(c + 1, b - 1) if b else 0.0

    assert mcnemar_worse(b, c) + below == pytest.approx(1.0)
    assert mcnemar_worse(b + 1, c) <= mcnemar_worse(b, c)


@pytest.mark.parametrize(("b", "c"), [(10_000, 10_000), (10_300, 9_700), (0, 20_000), (20_000, 0)])
def test_mcnemar_stays_exact_and_fast_at_twenty_thousand(b: int, c: int) -> None:
    """20,000 rows that tell the models apart are judged exactly in well under a second."""
    started = time.thread_time()

    p = mcnemar_worse(b, c)

    assert time.thread_time() - started < 2.0
    assert p == pytest.approx(stats.binomtest(b, b + c, 0.5, alternative="greater").pvalue, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(("b", "c"), [(-1, 0), (0, -1)])
def test_negative_counts_are_refused(b: int, c: int) -> None:
    """A count of rows cannot be negative."""
    with pytest.raises(FairleadError):
        mcnemar_worse(b, c)
