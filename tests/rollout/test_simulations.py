"""The simulation of rollouts, short; `python -m benchmarks.simulations.rollouts` is the whole of it."""

import numpy as np
import pytest

from benchmarks.simulations import rollout_cases as cases
from benchmarks.simulations.rollout_page import Outcome, Results, page, picture
from benchmarks.simulations.rollout_rules import product, rollback_at
from benchmarks.simulations.rollout_streams import Arm, World, stream
from fairlead.rollout.plan import Mode, Plan


@pytest.fixture(scope="module")
def rare_errors() -> dict[str, int]:
    """Of 100 equal canaries at an accuracy of 0.99 and a weight of 1 %, what each rule rolls back."""
    return cases.same_arms(0.99, 0.01, 100)


def test_equal_canaries_are_seldom_rolled_back(rare_errors: dict[str, int]) -> None:
    """The product stays below 5 %."""
    assert rare_errors["Fairlead"] <= 5


@pytest.mark.parametrize("rule", ["peeking z", "normal mSPRT"])
def test_wrong_rules_fail_the_same_suite(rare_errors: dict[str, int], rule: str) -> None:
    """A simulation that a test read at every look passes would prove nothing, nor one that the mSPRT passes."""
    assert rare_errors[rule] > 5


@pytest.mark.parametrize("case", cases.LOSSES, ids=lambda case: case.title)
def test_lost_accuracy_is_caught_in_time(case: cases.Loss) -> None:
    """In 95 % of runs within the labels promised; of 40 runs at least 35, which allows for chance."""
    assert np.count_nonzero(np.array(cases.loss(case, 40)) <= case.within) >= 35


@pytest.mark.parametrize("case", cases.CATCHES, ids=lambda case: case.title)
def test_faults_are_caught_in_time(case: cases.Catch) -> None:
    """In 95 % of runs within the requests promised; of 20 runs at least 17, which allows for chance."""
    assert np.count_nonzero(np.array(cases.catch(case, 20)) <= case.within) >= 17


@pytest.mark.parametrize("how", list(cases.LED))
def test_a_better_candidate_is_promoted_in_time(how: str) -> None:
    """All of 15 rollouts are decided within the plan's time; of a candidate three points better most are promoted."""
    ends = cases.led(how, 0.93, 15)

    assert ends["decided"] == 15
    assert ends["promoted"] >= 12


def test_a_quiet_month_asks_for_no_training_and_a_loss_does() -> None:
    """At most one needless trigger in each of three months, and a loss of ten points within 500 labels."""
    assert sum(cases.quiet_triggers(0.9, 0.9, 3)) <= 3
    assert np.count_nonzero(np.array(cases.lost_triggers(0.9, 30)) <= 500) >= 27


@pytest.mark.parametrize("kind", cases.UNFIT)
def test_evidence_that_is_not_fit_never_goes_forward(kind: str) -> None:
    """Not in one look; and the same plans do go forward when nothing is wrong."""
    assert cases.forward_steps(kind, 6)[0] == 0
    forward, looks = cases.forward_steps(cases.FIT, 6)
    assert 2 * forward > looks


def test_halving_finds_the_look_that_trying_all_finds() -> None:
    """The shortcut of the simulation is none of the product's: look after look says the same."""
    plan = Plan(mode=Mode.CANARY, weights=(0.1,), bake_s=1000.0)
    for seed in range(3):
        tables = stream(np.random.default_rng(seed), World(candidate=Arm(accuracy=0.6)), 2000)
        tried = next((n for n in range(10, 2001, 10) if rollback_at(plan, tables, n)), None)

        assert product(plan, tables, 10) == tried


def test_the_page_tells_a_missed_bar() -> None:
    """What does not hold is written in capitals, and a control that passes too."""
    row = {"title": "t", "found": "f", "asked": "a"}
    verdicts = [
        Outcome(bar=bar, holds=holds, **row).verdict
        for bar, holds in (("S1", True), ("S1", False), ("control", True), ("control", False), ("S3", None))
    ]

    assert verdicts == ["met", "MISSED", "fails, as it must", "PASSES", ""]


def test_the_page_and_its_picture_are_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A table row for each outcome, and a picture file."""
    results = Results(
        runs=10,
        outcomes=(Outcome(bar="S1", title="equal arms", found="0 of 10", asked="none", holds=True),),
        same_arms={(0.9, 0.1): {"Fairlead": 0, "peeking z": 3, "normal mSPRT": 1}},
        losses={"accuracy": [10.0, 20.0, np.inf]},
        catches={"errors": [3.0, 4.0]},
        triggers={0.9: [100.0, 200.0]},
    )
    to = tmp_path_factory.mktemp("page") / "rollouts.png"
    picture(results, to)

    assert "| S1 | equal arms | 0 of 10 | none | met |" in page(results, 1.0)
    assert to.stat().st_size > 10_000
