"""Evidence: the same however the log is cut, and never of the wrong kind."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rollout.conftest import CANARY, SHADOW, folded, pairs, restored, traffic

from benchmarks.simulations.rollout_rules import Table
from benchmarks.simulations.rollout_streams import Arm
from fairlead.errors import FairleadError
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.observation import LoadFailure, PairLabels
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.verdict import Verdict

AB_BY_TIME = Plan(mode=Mode.AB, weights=(0.5,), horizon_s=20.0)
AB_BY_LABELS = Plan(mode=Mode.AB, weights=(0.5,), min_labels=100)


def cut(table: Table, places: list[int]) -> list[Table]:
    """A table in pieces, some of them empty."""
    ends = [0, *sorted(min(place, len(table)) for place in places), len(table)]
    return [table[start:end] for start, end in itertools.pairwise(ends)]


PLACES = st.lists(st.integers(0, 400), max_size=5)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 1000),
    places=PLACES,
    plan=st.sampled_from([CANARY, AB_BY_TIME, AB_BY_LABELS]),
    error=st.sampled_from([0.0, 0.3, 1.0]),
    non_finite=st.sampled_from([0.0, 0.1]),
)
def test_a_log_may_be_folded_in_any_pieces(
    seed: int, places: list[int], plan: Plan, error: float, non_finite: float
) -> None:
    """All at once or in pieces, with a restart after each: the same to the last bit."""
    tables = traffic(seed, 400, weight=plan.weights[0], candidate=Arm(accuracy=0.8, error=error, non_finite=non_finite))
    pieces = Evidence.begin(plan, started_us=0)
    for table in tables:
        for piece in cut(table, places):
            pieces.add(piece)
            pieces = restored(plan, pieces)

    assert pieces.to_json() == folded(plan, tables).to_json()


def test_a_log_may_be_folded_row_by_row() -> None:
    """One observation at a time gives exactly what all at once do."""
    for plan, tables in ((CANARY, traffic(7, 300)), (SHADOW, pairs(7, 300, worse=0.2))):
        rows = [table[row : row + 1] for table in tables for row in range(len(table))]

        assert folded(plan, rows).to_json() == folded(plan, tables).to_json()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), places=PLACES, worse=st.sampled_from([0.0, 0.2]), labels=st.sampled_from([0, 150]))
def test_a_shadows_log_may_be_folded_in_any_pieces(seed: int, places: list[int], worse: float, labels: int) -> None:
    """The same for pairs and their labels."""
    plan = Plan(mode=Mode.SHADOW, min_labels=labels)
    rng = np.random.default_rng(seed)
    odd = {"candidate_error": rng.random(400) < 0.1, "agrees": rng.random(400) < 0.8}
    tables = pairs(seed, 400, worse, **odd, candidate_predicted=rng.integers(-1, 4, 400))
    pieces = Evidence.begin(plan, started_us=0)
    for table in tables:
        for piece in cut(table, places):
            pieces.add(piece)
            pieces = restored(plan, pieces)

    assert pieces.to_json() == folded(plan, tables).to_json()


def test_accuracy_is_judged_on_exactly_the_planned_labels() -> None:
    """The counts are frozen at the candidate's hundredth label, wherever in a piece it lies."""
    evidence = folded(AB_BY_LABELS, traffic(3, 1000, weight=0.5))

    assert evidence.judged is not None
    assert evidence.judged[0][4] == 100
    assert evidence.candidate_labels > 100


def test_accuracy_is_judged_at_the_horizon() -> None:
    """With a horizon of 20 s it is judged by the labels that had come by then: 199 at ten a second."""
    tables = traffic(3, 1000, weight=0.5, stable=Arm(), candidate=Arm())
    evidence = Evidence.begin(AB_BY_TIME, started_us=0)
    evidence.add(tables[1])

    assert evidence.judged is not None
    assert evidence.judged[0][1] + evidence.judged[0][4] == 199


def test_a_shadow_is_judged_on_exactly_the_planned_labels() -> None:
    """The counts are those of the first 150 labels."""
    evidence = folded(Plan(mode=Mode.SHADOW, min_labels=150), pairs(3, 400))

    assert evidence.judged is not None
    assert evidence.judged[0][0] == 150


def test_its_size_does_not_grow_with_the_traffic() -> None:
    """Ten times the rows are written down in about the same space."""
    small, large = (len(str(folded(CANARY, traffic(1, rows)).to_json())) for rows in (3000, 30_000))

    assert large < 3 * small


def test_rows_of_the_wrong_kind_are_refused() -> None:
    """A canary has no pairs and a shadow no arms; nothing is folded in."""
    for plan, tables in ((CANARY, pairs()), (SHADOW, traffic())):
        evidence = Evidence.begin(plan, started_us=0)
        for table in tables:
            with pytest.raises(FairleadError):
                evidence.add(table)
        assert evidence.to_json() == Evidence.begin(plan, started_us=0).to_json()


def test_what_is_said_once_is_kept() -> None:
    """The first reason why it would not load, and the latest word on drift, survive a restart."""
    evidence = Evidence.begin(SHADOW, started_us=0)
    evidence.add(LoadFailure(at_us=1, detail="the file is cut short"))
    evidence.add(LoadFailure(at_us=2, detail="again"))
    evidence.note_drift(Verdict.FAILED, "brightness differs")
    again = restored(SHADOW, evidence)

    assert again.trips.load_failure == "the file is cut short"
    assert (again.drift, again.drift_detail) == (Verdict.FAILED, "brightness differs")


def test_answers_that_come_after_their_labels_do_no_harm() -> None:
    """A label may be read before its row: the arms can be counted all the same."""
    answers, labels = traffic(1, 100)
    evidence = folded(CANARY, (labels,))

    stable, candidate = evidence.periods[0.1].arms()
    assert stable.answered + candidate.answered == len(labels)
    evidence.add(answers)
    assert sum(evidence.answered(0.1)) == len(answers)


def test_no_rows_are_no_observation() -> None:
    """Empty tables change nothing."""
    for plan, tables in ((CANARY, traffic()), (SHADOW, pairs())):
        evidence = folded(plan, [table[:0] for table in tables])
        assert (evidence.stable_last_us, evidence.candidate_labels) == (0, 0)
    assert isinstance(pairs()[1], PairLabels)
