"""Evidence that may be read after every observation: exact, at most 1 on average, and the same however it is cut."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from fairlead.errors import FairleadError
from fairlead.monitoring.eprocess import Share, TwoSample, log_share_evidence

WEIGHTS = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9)


@settings(deadline=None)
@given(b=st.integers(0, 2000), c=st.integers(0, 2000))
def test_a_share_against_one_half_is_the_sequential_mcnemar_test(b: int, c: int) -> None:
    """With pairs that tell two models apart it is 2 B(1+b, 1+c) / B(1, 1) P(Beta(1+b, 1+c) > 1/2) 2^(b+c)."""
    log_e = math.log(2) + special.betaln(1 + b, 1 + c) + stats.beta(1 + b, 1 + c).logsf(0.5) + (b + c) * math.log(2)

    if math.isfinite(log_e):
        assert log_share_evidence(b, b + c, 0.5) == pytest.approx(log_e, rel=1e-8, abs=1e-7)


@settings(deadline=None)
@given(n=st.integers(0, 60), null=st.floats(0.01, 0.99), below=st.floats(0.001, 1.0))
def test_the_evidence_of_a_share_is_worth_at_most_1_on_average(n: int, null: float, below: float) -> None:
    """Summed over all outcomes it is expected to be 1 at the largest share that is fine, and less below."""
    hits = np.arange(n + 1)
    evidence = np.exp([log_share_evidence(k, n, null) for k in hits.tolist()])

    assert float(stats.binom(n, null).pmf(hits) @ evidence) == pytest.approx(1.0, rel=1e-8)
    assert float(stats.binom(n, null * below).pmf(hits) @ evidence) <= 1.0 + 1e-8


@pytest.mark.parametrize(("hits", "n", "null"), [(-1, 3, 0.5), (4, 3, 0.5), (1, 3, 0.0), (1, 3, 1.0)])
def test_impossible_counts_are_no_evidence(hits: int, n: int, null: float) -> None:
    """More hits than trials, or a share that nothing can exceed, are refused."""
    with pytest.raises(FairleadError):
        log_share_evidence(hits, n, null)


@settings(deadline=None)
@given(hits=st.lists(st.booleans(), max_size=80), cuts=st.lists(st.integers(0, 80), max_size=5))
def test_trials_may_be_folded_in_any_pieces(hits: list[bool], cuts: list[int]) -> None:
    """All at once, in pieces, or through JSON between them: the same to the last bit."""
    outcomes = np.array(hits, np.bool_)
    whole, pieces = Share(null=0.3), Share(null=0.3)
    whole.add(outcomes)

    for piece in np.split(outcomes, sorted(min(cut, len(hits)) for cut in cuts)):
        pieces.add(piece)
        pieces = Share.from_json(json.loads(json.dumps(pieces.to_json())))

    assert pieces == whole


def test_a_good_spell_does_not_undo_what_was_shown() -> None:
    """Evidence that reached its bound has reached it, whatever follows."""
    share = Share(null=0.5)
    share.add(np.ones(20, np.bool_))
    share.add(np.zeros(200, np.bool_))

    assert share.log_e < 0.0
    assert share.reached(alpha=0.01)


@pytest.mark.parametrize("weight", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("shares", [(0.9, 0.9), (0.5, 0.5), (0.02, 0.02), (0.6, 0.9), (0.99, 1.0)])
@pytest.mark.parametrize("seen", [(0, 0, 0, 0), (30, 27, 10, 5), (300, 299, 100, 80), (30, 3, 10, 9)])
def test_no_bet_pays_more_than_1_on_average(
    weight: float, shares: tuple[float, float], seen: tuple[int, int, int, int]
) -> None:
    """Over all outcomes of one block, from any past, each bet's factor is expected to be at most 1."""
    arms = {0.25: [False, False, False, True], 0.5: [False, True], 0.75: [False, True, True, True]}[weight]
    chances = np.where(arms, shares[1], shares[0])
    expected = np.zeros(7)

    for outcome in itertools.product([False, True], repeat=len(arms)):
        test = TwoSample()
        test.stable_n, test.stable_good, test.candidate_n, test.candidate_good = seen
        test.add(weight, np.array(arms), np.array(outcome))
        assert test.stable_n + test.candidate_n == seen[0] + seen[2] + len(arms)
        expected += np.where(outcome, chances, 1.0 - chances).prod() * np.exp(test.log_e)

    assert (expected <= 1.0 + 1e-9).all()


@settings(deadline=None)
@given(data=st.data(), size=st.integers(1, 300), seed=st.integers(0, 1000))
def test_outcomes_may_be_folded_in_any_pieces(data: st.DataObject, size: int, seed: int) -> None:
    """All at once, in pieces, or through JSON between them: the same to the last bit, at any weights."""
    rng = np.random.default_rng(seed)
    weight = data.draw(st.sampled_from(WEIGHTS))
    candidate, good = rng.random(size) < rng.choice([weight, 0.5]), rng.random(size) < 0.8
    whole, pieces = TwoSample(), TwoSample()
    for weight_then in (weight, 0.2):
        whole.add(weight_then, candidate, good)

        cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=6)))
        for arm, outcome in zip(np.split(candidate, cuts), np.split(good, cuts), strict=True):
            pieces.add(weight_then, arm, outcome)
            pieces = TwoSample.from_json(json.loads(json.dumps(pieces.to_json())))

    assert pieces.to_json() == whole.to_json()


@pytest.mark.parametrize("arm", [False, True])
def test_an_arm_without_outcomes_does_not_fill_the_memory(arm: bool) -> None:
    """While one arm is silent the other's latest outcomes are kept, not all; in any pieces the same."""
    rng = np.random.default_rng(8)
    candidate = np.concatenate((np.full(9000, arm), rng.random(300) < 0.1))
    good = rng.random(9300) < 0.9
    whole, pieces = TwoSample(), TwoSample()
    whole.add(0.1, candidate, good)
    for start in range(0, 9300, 77):
        pieces.add(0.1, candidate[start : start + 77], good[start : start + 77])

    assert pieces.to_json() == whole.to_json()
    assert len(whole.to_json()["periods"][0]["good"]) <= 4096


def test_a_block_closes_when_the_next_of_the_scarcer_arm_is_there() -> None:
    """At 10 % nine stable outcomes are due; with four, the block waits until the candidate's next."""
    test = TwoSample()
    test.add(0.1, np.array([True, False, False, False, False]), np.ones(5, np.bool_))
    assert test.candidate_n == 0

    test.add(0.1, np.array([True]), np.array([False]))

    assert (test.stable_n, test.candidate_n) == (4, 1)


def test_a_block_never_mixes_two_weights() -> None:
    """What waits for its block under one weight is not completed by outcomes of another."""
    test = TwoSample()
    test.add(0.5, np.array([True]), np.array([True]))
    test.add(0.25, np.array([False, False, False]), np.array([True, True, True]))
    assert test.stable_n == test.candidate_n == 0

    test.add(0.5, np.array([False]), np.array([True]))

    assert (test.stable_n, test.candidate_n) == (1, 1)


def test_with_all_traffic_on_the_candidate_there_is_nothing_to_compare() -> None:
    """A weight of 1 gives no evidence, and keeps nothing."""
    test = TwoSample()
    test.add(1.0, np.ones(100, np.bool_), np.zeros(100, np.bool_))

    assert test.to_json() == TwoSample().to_json()


@pytest.mark.parametrize("weight", [0.1, 0.5, 0.9])
def test_equal_arms_seldom_reach_the_bound(weight: float) -> None:
    """Read after every block, at most the promised share of runs alarms (500 runs at 10 %, three sigma)."""
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(500):
        test = TwoSample()
        test.add(weight, rng.random(600) < weight, rng.random(600) < 0.9)
        alarms += test.reached(alpha=0.1)

    assert alarms <= 50 + 3 * math.sqrt(500 * 0.1 * 0.9)


def test_a_worse_candidate_is_found_and_a_better_one_is_not() -> None:
    """0.9 against 0.7 shows within 300 labels each; the other way round nothing does."""
    rng = np.random.default_rng(6)
    candidate = rng.random(600) < 0.5
    worse, better = TwoSample(), TwoSample()
    worse.add(0.5, candidate, rng.random(600) < np.where(candidate, 0.7, 0.9))
    better.add(0.5, candidate, rng.random(600) < np.where(candidate, 0.9, 0.7))

    assert worse.reached(alpha=0.01)
    assert not better.reached(alpha=0.5)
