"""Bins and curves of a sketch: where many rows share a value, no difference is made up and none is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.monitoring.drift.bins import bins
from fairlead.monitoring.drift.kolmogorov_smirnov import curve_at_quantiles
from fairlead.monitoring.drift.reference import NumericReference
from fairlead.monitoring.drift.window import judge_window

VALUES = st.lists(st.integers(-5, 5) | st.floats(-5, 5), min_size=20, max_size=200)


@given(values=VALUES, quantiles=st.sampled_from([11, 21, 101]))
def test_a_sample_does_not_differ_from_its_own_sketch(values: list[float], quantiles: int) -> None:
    """Whatever its ties, a sample's curve is that of its own quantiles, up to the one row between two of them."""
    ordered = np.sort(np.array(values))
    curve = curve_at_quantiles(
        ordered, np.array(NumericReference.describe("x", ordered, quantiles=quantiles).quantiles)
    )

    assert np.abs(curve - np.linspace(0, 1, quantiles)).max() <= 1.0 / len(values) + 1e-12


@given(reference=VALUES, window=VALUES, quantiles=st.sampled_from([11, 21, 101]))
def test_the_distance_is_never_above_that_of_the_samples(
    reference: list[float], window: list[float], quantiles: int
) -> None:
    """The sketch's greatest distance is at most that of the two full curves, and the one row between quantiles."""
    known, ordered = np.sort(np.array(reference)), np.sort(np.array(window))
    sketch = np.array(NumericReference.describe("x", known, quantiles=quantiles).quantiles)
    everywhere = np.union1d(np.union1d(known, ordered), sketch)
    full = max(
        float(np.abs(np.searchsorted(known, everywhere, side) / len(known)
                     - np.searchsorted(ordered, everywhere, side) / len(ordered)).max())
        for side in ("left", "right")
    )  # fmt: skip

    found = np.abs(curve_at_quantiles(ordered, sketch) - np.linspace(0, 1, quantiles)).max()

    assert found <= full + 1.0 / len(known) + 1e-12


@given(reference=VALUES, window=VALUES, quantiles=st.sampled_from([11, 21, 101]))
def test_the_cells_hold_every_row_once(reference: list[float], window: list[float], quantiles: int) -> None:
    """The shares of both are at least 0 and together 1, and no bin of the reference is narrow."""
    sketch = np.array(NumericReference.describe("x", reference, quantiles=quantiles).quantiles)
    known = bins(sketch)

    observed = known.observed(curve_at_quantiles(np.sort(np.array(window)), sketch))

    assert observed.shape == known.reference.shape
    assert (observed >= 0.0).all()
    assert observed.sum() == pytest.approx(1.0)
    assert known.reference.sum() == pytest.approx(1.0)
    assert known.reference[1:-1].min() >= 0.075 - 1e-9


def test_values_without_ties_are_counted_by_deciles() -> None:
    """The edges are the nine inner deciles."""
    known = bins(np.linspace(-1.0, 1.0, 101))

    assert known.parts == pytest.approx(np.arange(0.1, 0.95, 0.1))
    assert (known.lower == known.upper).all()


def test_a_constant_has_one_bin_and_is_still_watched() -> None:
    """What was always 5 and is now 7 has drifted; what is still 5 has not."""
    known = NumericReference(name="x", quantiles=(5.0,) * 11, rows=1_000)

    assert len(bins(np.full(11, 5.0)).parts) == 0
    assert judge_window([known], {"x": [7.0] * 500}).drifted == ("x",)
    assert judge_window([known], {"x": [5.0] * 500}).drifted == ()


def test_rows_that_leave_their_value_for_the_gap_beside_it_are_seen() -> None:
    """Zeros and ones of which three in ten have become one half are found, though their halves balance."""
    known = NumericReference.describe("x", [0.0, 1.0] * 5_000)

    assert judge_window([known], {"x": [0.0] * 350 + [0.5] * 300 + [1.0] * 350}).drifted == ("x",)
    assert judge_window([known], {"x": [0.0, 1.0] * 500}).drifted == ()


@settings(deadline=None, max_examples=30)
@given(rate=st.floats(0.5, 40.0), quantiles=st.sampled_from([11, 101]), seed=st.integers(0, 2**32 - 1))
def test_counts_are_quiet_with_any_sketch(rate: float, quantiles: int, seed: int) -> None:
    """Whole numbers of the reference's own law stay far from an alarm, be the sketch as coarse as may be."""
    rng = np.random.default_rng(seed)
    known = NumericReference.describe("x", rng.poisson(rate, 10_000).astype(np.float64), quantiles=quantiles)

    report = judge_window([known], {"x": rng.poisson(rate, 1_000).astype(np.float64)})

    assert report.features[0].p_value > 1e-6
