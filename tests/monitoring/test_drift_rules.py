"""The rules of a window's judgement that hold for any values: order, replay, nulls, new categories, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.finding import FeatureKind
from fairlead.monitoring.drift.reference import CategoricalReference, NumericReference
from fairlead.monitoring.drift.thresholds import DriftThresholds
from fairlead.monitoring.drift.two_shares import never_seen
from fairlead.monitoring.drift.window import DriftState, judge_window

RNG = np.random.default_rng(12)
LEVEL = NumericReference.describe("level", RNG.standard_normal(10_000))
GAPPY = NumericReference.describe("gappy", np.where(RNG.random(10_000) < 0.3, np.nan, RNG.standard_normal(10_000)))
COLOUR = CategoricalReference(name="colour", shares={"red": 0.7, "blue": 0.3}, rows=10_000)
FEW = DriftThresholds(min_rows=1, min_feature_rows=1)

FINITE = st.floats(-1e300, 1e300) | st.sampled_from([0.0, 1.0, 5e-324, 1e300])
ANYTHING = st.one_of(
    st.none(),
    st.floats(),
    st.integers(-(10**18), 10**18),
    st.text(max_size=5),
    st.sampled_from(["red", "blue", "1e999"]),
)


@settings(deadline=None)
@given(columns=st.lists(st.tuples(ANYTHING, ANYTHING), min_size=1, max_size=120))
def test_no_values_break_it(columns: list[tuple[Any, Any]]) -> None:
    """Whatever the rows hold, there is a report, its numbers are finite, and JSON takes it."""
    level, colour = zip(*columns, strict=True)

    report = judge_window([LEVEL, COLOUR], {"level": level, "colour": colour}, FEW)

    json.dumps(report.to_json(), allow_nan=False)
    assert {found.feature for found in report.features} == {"level", "colour"}
    assert all(0.0 <= found.p_value <= 1.0 and found.psi >= 0.0 and found.reason for found in report.features)


@settings(deadline=None)
@given(before=st.lists(FINITE, min_size=1, max_size=40), now=st.lists(FINITE, min_size=1, max_size=40))
def test_no_reference_breaks_it(before: list[float], now: list[float]) -> None:
    """Nor does a reference of any numbers, from the smallest to the greatest float."""
    reference = NumericReference.describe("x", before, quantiles=11)

    report = judge_window([reference], {"x": now}, FEW)

    json.dumps(report.to_json(), allow_nan=False)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), shift=st.floats(-2, 2))
def test_the_order_of_rows_and_of_references_is_nothing(seed: int, shift: float) -> None:
    """A window says the same with its rows shuffled, its references the other way round, and when it is replayed."""
    rng = np.random.default_rng(seed)
    level, colour = rng.standard_normal(800) + shift, rng.choice(["red", "blue"], 800, p=[0.7, 0.3])
    order = rng.permutation(800)

    report = judge_window([LEVEL, COLOUR], {"level": level, "colour": colour.tolist()})
    shuffled = judge_window([COLOUR, LEVEL], {"colour": colour[order].tolist(), "level": level[order]})

    assert report == shuffled == judge_window([LEVEL, COLOUR], {"level": level, "colour": colour.tolist()})


@settings(deadline=None, max_examples=30)
@given(factor=st.sampled_from([1e-3, 0.1, 7.0, 1e6]), offset=st.floats(-1e6, 1e6), seed=st.integers(0, 1_000))
def test_the_unit_of_a_number_is_nothing(factor: float, offset: float, seed: int) -> None:
    """The same rows in another unit, reference and window alike, have the same p-value, index and effect."""
    rng = np.random.default_rng(seed)
    before, now = rng.standard_normal(2_000), rng.standard_normal(600) + 0.2

    plain = judge_window([NumericReference.describe("x", before)], {"x": now})
    other = judge_window([NumericReference.describe("x", before * factor + offset)], {"x": now * factor + offset})

    assert other.features[0].p_value == pytest.approx(plain.features[0].p_value, rel=1e-3, abs=1e-12)
    assert other.features[0].psi == pytest.approx(plain.features[0].psi, rel=1e-3, abs=1e-9)
    assert other.features[0].effect == pytest.approx(plain.features[0].effect, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("shift", [-2.0, -0.5, 0.5, 1.2, 5.0])
def test_the_effect_of_a_shift_is_its_size(shift: float) -> None:
    """It is in standard deviations of the reference, below 0 for a fall, and the sentence says so."""
    found = judge_window([LEVEL], {"level": RNG.standard_normal(2_000) + shift}).features[0]

    assert found.effect == pytest.approx(shift, abs=0.1)
    assert found.kind is FeatureKind.NUMERIC
    assert f"level {'rose' if shift > 0 else 'fell'} by {abs(found.effect):.1f} sd (PSI " in found.reason


def test_the_effect_on_a_category_is_its_points_of_share() -> None:
    """The category that moved most is named, with where it came from and went to."""
    found = judge_window([COLOUR], {"colour": ["red"] * 600 + ["blue"] * 400}).features[0]

    assert found.kind is FeatureKind.CATEGORICAL
    assert abs(found.effect) == pytest.approx(0.1)
    assert found.category in {"red", "blue"}
    assert "10.0 points of share" in found.reason


@pytest.mark.parametrize("factor", [1000.0, 0.001, 100.0])
def test_another_unit_is_called_one(factor: float) -> None:
    """An amount that is multiplied by a power of ten is told as such."""
    amounts = NumericReference.describe("amount", RNG.lognormal(3.0, 0.5, 10_000))

    found = judge_window([amounts], {"amount": RNG.lognormal(3.0, 0.5, 1_000) * factor}).features[0]

    assert found.is_drifted
    assert f"{factor:,g} times what it was, as in another unit" in found.reason


def test_the_most_drifted_comes_first() -> None:
    """Drifted features stand before the others, those with the smaller p-value first."""
    known = [NumericReference.describe(name, RNG.standard_normal(10_000)) for name in "abcd"]
    columns = {"a": 0.0, "b": 0.5, "c": 0.0, "d": 1.5}

    report = judge_window(known, {name: RNG.standard_normal(1_000) + shift for name, shift in columns.items()})

    assert report.drifted == ("d", "b")
    assert [found.is_drifted for found in report.features] == [True, True, False, False]


def test_a_missing_column_is_null_in_every_row() -> None:
    """A feature that production lost has drifted; one without a reference is not looked at."""
    report = judge_window([LEVEL, COLOUR], {"colour": ["red"] * 700 + ["blue"] * 300, "other": [1.0]})

    assert report.drifted == ("level",)
    assert report.features[0].reason == "level is missing in 100 % of the rows, before in 0 %"


@pytest.mark.parametrize(("null_share", "is_drifted"), [(0.3, False), (0.2, True), (0.45, True), (1.0, True)])
def test_nulls_that_were_always_there_are_no_drift(null_share: float, is_drifted: bool) -> None:
    """Three nulls in ten stay quiet where they were before; more, and fewer, are drift."""
    nulls = np.arange(1_000) < 1_000 * null_share
    values = np.where(nulls, np.nan, np.random.default_rng(4).standard_normal(1_000))

    assert bool(judge_window([GAPPY], {"gappy": values}).drifted) == is_drifted


@pytest.mark.parametrize(("rows", "is_drifted"), [(1, False), (2, False), (3, True), (20, True)])
def test_a_new_category_is_drift_as_soon_as_chance_cannot_have_hidden_it(rows: int, is_drifted: bool) -> None:
    """Three rows in 1,000 after none in 10,000 are enough, without an index or another feature being asked."""
    colours = ["red"] * 700 + ["blue"] * (300 - rows) + ["mauve"] * rows
    crowd = [NumericReference.describe(f"x{place}", RNG.standard_normal(1_000)) for place in range(30)]
    columns = {known.name: RNG.standard_normal(1_000) for known in crowd}

    report = judge_window([COLOUR, *crowd], {"colour": colours, **columns})

    assert ("colour" in report.drifted) == is_drifted
    if is_drifted:
        assert report.features[0].reason == f"colour has the new category 'mauve' in {rows / 10:.1f} % of the rows"


def test_rare_words_hide_as_often_as_is_said() -> None:
    """Of many rare kinds, about as many are hidden from a reference by chance as the stated p-values allow."""
    rng = np.random.default_rng(9)
    shares = np.append(np.full(300, 5e-4), 0.85)
    surprises, windows = 0, 400
    for _ in range(windows):
        before, now = rng.multinomial(10_000, shares), rng.multinomial(1_000, shares)
        hidden = np.flatnonzero(before == 0)
        most = max(hidden, key=lambda kind: now[kind], default=None)
        if most is not None and now[most]:
            others = np.delete(before + now, most).astype(np.float64)
            surprises += never_seen(int(now[most]), 1_000, 10_000, others) <= 0.01
    assert surprises <= 12  # 4 are expected at most; 12 or more would happen once in a thousand runs


def test_nothing_to_judge_is_inconclusive() -> None:
    """No reference, or no rows, say nothing; never that all is quiet."""
    for references, columns in (([], {"level": [1.0] * 900}), ([LEVEL], {}), ([LEVEL], {"level": []})):
        report = judge_window(references, columns)
        assert (report.state, report.features) == (DriftState.INCONCLUSIVE, ())


@pytest.mark.parametrize(
    "refused",
    [
        lambda: judge_window([LEVEL, LEVEL], {"level": [1.0]}),
        lambda: judge_window([LEVEL, COLOUR], {"level": [1.0], "colour": []}),
        lambda: NumericReference(name="x", quantiles=(1.0,) * 10, rows=5),
        lambda: NumericReference(name="x", quantiles=(*range(10), 8), rows=5),
        lambda: NumericReference(name="x", quantiles=(*range(10), float("nan")), rows=5),
        lambda: NumericReference(name="x", quantiles=tuple(range(11)), rows=0),
        lambda: NumericReference(name="x", quantiles=tuple(range(11)), rows=5, null_share=1.5),
        lambda: NumericReference.describe("x", [None, "n/a"]),
        lambda: CategoricalReference(name="x", shares={"a": 0.5, "b": 0.4}, rows=5),
        lambda: CategoricalReference(name="x", shares={"a": 1.5, "b": -0.5}, rows=5),
        lambda: CategoricalReference.describe("x", [None]),
        lambda: DriftThresholds(min_rows=0),
        lambda: DriftThresholds(false_discovery_rate=1.0),
        lambda: DriftThresholds(min_psi=float("inf")),
    ],
)
def test_what_cannot_be_is_refused(refused: Callable[[], object]) -> None:
    """A reference, a threshold or a window that makes no sense is an error that names it."""
    with pytest.raises(FairleadError) as caught:
        refused()
    assert caught.value.code is Code.INVALID_ARGUMENT
