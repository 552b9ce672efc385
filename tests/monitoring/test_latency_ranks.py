"""Latency by ranks among neighbours: exact whatever latencies look like."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.monitoring.latency_ranks import LatencyRanks


@pytest.mark.parametrize("candidates", range(9))
def test_no_bet_pays_more_than_1_on_average(candidates: int) -> None:
    """Over all ways in which chance may assign the arms within a block, each bet's factor has a mean of exactly 1."""
    latency_us = np.array([1, 2, 3, 5, 8, 13, 1_000, 1_000_000])
    factors = []
    for chosen in itertools.combinations(range(8), candidates):
        ranks = LatencyRanks(ratio=1.0)
        ranks.add(0.5, np.isin(np.arange(8), chosen), latency_us)
        assert ranks.blocks == 1
        factors.append(np.exp(ranks.log_e))

    assert np.mean(factors, axis=0) == pytest.approx(np.ones(4))


@settings(deadline=None)
@given(
    data=st.data(), size=st.integers(0, 300), seed=st.integers(0, 1000), weight=st.sampled_from([0.01, 0.1, 0.5, 0.8])
)
def test_answers_may_be_folded_in_any_pieces(data: st.DataObject, size: int, seed: int, weight: float) -> None:
    """All at once, in pieces, or through JSON between them: the same to the last bit, ties and all."""
    rng = np.random.default_rng(seed)
    candidate, latency_us = rng.random(size) < weight, rng.integers(1, 50, size)
    whole, pieces = LatencyRanks(ratio=1.1), LatencyRanks(ratio=1.1)
    for weight_then in (weight, 0.2):
        whole.add(weight_then, candidate, latency_us)
        cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=6)))
        for arm, us in zip(np.split(candidate, cuts), np.split(latency_us, cuts), strict=True):
            pieces.add(weight_then, arm, us)
            pieces = LatencyRanks.from_json(json.loads(json.dumps(pieces.to_json())))

    assert pieces.to_json() == whole.to_json()


def test_a_stall_that_hits_both_arms_is_no_evidence() -> None:
    """Thirty neighbours at a time that take a hundred times as long, whichever arm they belong to, alarm nobody."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        latency_us = 1_000 * np.exp(0.6 * rng.standard_normal(4000)) * np.where(np.arange(4000) % 400 < 30, 100, 1)
        ranks = LatencyRanks(ratio=1.0)
        ranks.add(0.5, rng.random(4000) < 0.5, latency_us.astype(np.int64))
        alarms += ranks.reached(alpha=0.05)

    assert alarms <= 10 + 3 * 3.1


@pytest.mark.parametrize(("ratio", "found"), [(1.0, True), (1.6, False)])
def test_a_slowness_that_is_accepted_alarms_nobody(ratio: float, found: bool) -> None:
    """Half as slow again is found in 10,000 requests, unless that much was accepted."""
    rng = np.random.default_rng(2)
    candidate = rng.random(10_000) < 0.1
    ranks = LatencyRanks(ratio=ratio)
    ranks.add(
        0.1,
        candidate,
        (1_000 * np.exp(0.6 * rng.standard_normal(10_000)) * np.where(candidate, 1.5, 1)).astype(np.int64),
    )

    assert ranks.reached(alpha=0.01) is found


def test_another_weight_begins_a_new_block() -> None:
    """Answers of two weights never meet in one block."""
    ranks = LatencyRanks(ratio=1.0)
    ranks.add(0.5, np.zeros(7, np.bool_), np.ones(7, np.int64))
    ranks.add(0.4, np.ones(1, np.bool_), np.ones(1, np.int64))

    assert ranks.blocks == 0
    assert len(ranks.pending) == 1


def test_with_all_traffic_on_the_candidate_there_is_nothing_to_compare() -> None:
    """A weight of 1 gives no evidence."""
    ranks = LatencyRanks(ratio=1.0)
    ranks.add(1.0, np.ones(1000, np.bool_), np.full(1000, 10**9))

    assert ranks.to_json() == LatencyRanks(ratio=1.0).to_json()
