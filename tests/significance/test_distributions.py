"""The tails of distributions, held against scipy over the whole range in which they are promised."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from fairlead.errors import FairleadError
from fairlead.significance.distributions import chi_squared_survival, kolmogorov_survival

LEAST = 1e-290


@given(df=st.integers(1, 200), x=st.floats(0, 2_000))
def test_the_chi_squared_tail_is_scipys(df: int, x: float) -> None:
    """The relative error is below 1e-9 however far out the statistic is."""
    expected = special.chdtrc(df, x)

    assert chi_squared_survival(x, df) == pytest.approx(expected, rel=1e-9, abs=LEAST)


@given(df=st.integers(200, 10_000), ratio=st.floats(0.5, 2.0))
def test_the_chi_squared_tail_is_scipys_with_many_degrees_of_freedom(df: int, ratio: float) -> None:
    """Up to 10,000 degrees of freedom the sum neither overflows nor loses digits."""
    expected = special.chdtrc(df, ratio * df)

    assert chi_squared_survival(ratio * df, df) == pytest.approx(expected, rel=1e-9, abs=LEAST)


@pytest.mark.parametrize("df", [1, 2, 3, 9])
def test_the_chi_squared_tail_reaches_its_ends(df: int) -> None:
    """No distance has the chance 1, an infinite one none, and one beyond every float none either."""
    assert chi_squared_survival(0.0, df) == 1.0
    assert chi_squared_survival(-3.0, df) == 1.0
    assert chi_squared_survival(math.inf, df) == 0.0
    assert chi_squared_survival(1e12, df) == 0.0
    assert chi_squared_survival(5e-324, df) == 1.0


@given(x=st.floats(0, 18))
def test_the_kolmogorov_tail_is_scipys(x: float) -> None:
    """The relative error is below 1e-9 on both sides of the turn from one series to the other."""
    assert kolmogorov_survival(x) == pytest.approx(special.kolmogorov(x), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("x", [0.04, 0.0401, 0.3, 0.999999, 1.0, 1.000001, 1.628, 5.0])
def test_the_kolmogorov_tail_has_no_seam(x: float) -> None:
    """Where the series change, and at the usual critical values, it is scipy's too."""
    assert kolmogorov_survival(x) == pytest.approx(float(stats.kstwobign.sf(x)), rel=1e-9)


def test_the_kolmogorov_tail_reaches_its_ends() -> None:
    """No distance has the chance 1, and an infinite one none."""
    assert (kolmogorov_survival(-1.0), kolmogorov_survival(5e-324), kolmogorov_survival(math.inf)) == (1.0, 1.0, 0.0)


def test_what_is_no_statistic_is_refused() -> None:
    """A nan has no tail, and a chi-squared variable at least one degree of freedom."""
    with pytest.raises(FairleadError):
        chi_squared_survival(math.nan, 3)
    with pytest.raises(FairleadError):
        chi_squared_survival(1.0, 0)
    with pytest.raises(FairleadError):
        kolmogorov_survival(math.nan)
