"""What a graph answers is decided row by row."""

from __future__ import annotations

import numpy as np
import pytest
from tests.graphs.fakes import Fake, constant, rows

from fairlead.errors import Code, FairleadError
from fairlead.servable.servable import NoAnswerError
from fairlead.servable.signature import Array

from .conftest import GraphOf


def echo(x: Array) -> Array:
    """Answers with what it is asked."""
    return x


def refusing(x: Array) -> Array:
    """Refuses rows below 0."""
    if (x < 0).any():
        raise FairleadError(Code.INVALID_ARGUMENT, "a number is below 0")
    return x


def breaking(x: Array) -> Array:
    """Breaks at rows below 0."""
    if (x < 0).any():
        raise ZeroDivisionError
    return x


def test_an_average_has_weights(graph_of: GraphOf) -> None:
    """One that counts for three is three quarters of it."""
    graph, _ = graph_of("average", {"a@1": constant(1, 0), "b@1": constant(0, 1)}, weights=[3, 1])
    answer = graph.predict(rows(5, 6))

    np.testing.assert_allclose(answer["y"], [[0.75, 0.25]] * 2)
    assert answer["y"].dtype == np.float32
    assert answer["members"].tolist() == ["a@1,b@1"] * 2


def test_a_vote_is_the_share_of_each_class(graph_of: GraphOf) -> None:
    """However sure each member is."""
    votes = {"a@1": constant(0.51, 0.49), "b@1": constant(0.6, 0.4), "c@1": constant(0, 1)}
    graph, _ = graph_of("vote", votes)

    np.testing.assert_allclose(graph.predict(rows(1))["y"], [[2 / 3, 1 / 3]], rtol=1e-6)


def test_only_the_outputs_asked_for(graph_of: GraphOf) -> None:
    """Who spoke is one of them."""
    graph, _ = graph_of("average", {"a@1": Fake(echo), "b@1": Fake(echo)})

    assert list(graph.predict(rows(1), ["members"])) == ["members"]
    assert list(graph.predict(rows(1), ["y"])) == ["y"]


@pytest.mark.parametrize("say", [refusing, breaking])
def test_a_row_that_a_member_refuses_costs_no_other_row_that_member(graph_of: GraphOf, say: object) -> None:
    """The rows of a run may be of several callers."""
    graph, counts = graph_of("average", {"a@1": Fake(echo), "b@1": Fake(say)}, quorum=1)  # type: ignore[arg-type]
    answer = graph.predict(rows(1, 2, -3, 4, 5))

    assert answer["members"].tolist() == ["a@1,b@1", "a@1,b@1", "a@1", "a@1,b@1", "a@1,b@1"]
    np.testing.assert_allclose(answer["y"], rows(1, 2, -3, 4, 5)["x"])
    assert counts.totals()["fairlead_graph_member_rows"] == {
        ("g", "1", "a@1", "spoke"): [5],
        ("g", "1", "b@1", "spoke"): [4],
        ("g", "1", "b@1", "failed"): [1],
    }


def test_a_row_of_nan_costs_no_other_row_its_members(graph_of: GraphOf) -> None:
    """A member does not speak where its numbers are none, and speaks beside it."""
    graph, _ = graph_of("average", {"a@1": constant(1, 0), "b@1": Fake(echo)}, quorum=1)
    answer = graph.predict(rows(3, float("nan"), 5))

    assert answer["members"].tolist() == ["a@1,b@1", "a@1", "a@1,b@1"]
    np.testing.assert_allclose(answer["y"][1], [1, 0])


def test_rows_without_agreement_fall_back_alone(graph_of: GraphOf) -> None:
    """The others keep the members' answer."""
    turning = Fake(lambda x: np.where(x > 0, [[1.0, 0.0]], [[0.0, 1.0]]).astype(np.float32))
    votes = {"a@1": constant(1, 0), "b@1": turning, "spare@1": constant(0.4, 0.6)}
    graph, counts = graph_of("vote", votes, agreement=0.9, fallback={"version": "spare@1", "deadline_ms": 10_000})
    answer = graph.predict(rows(1, -1, 1))

    assert answer["members"].tolist() == ["a@1,b@1", "spare@1", "a@1,b@1"]
    np.testing.assert_allclose(answer["y"], np.array([[1, 0], [0.4, 0.6], [1, 0]]))
    assert votes["spare@1"].asked == [1]
    assert counts.totals()["fairlead_graph_rows"] == {("g", "1", "combined"): [2], ("g", "1", "fallback"): [1]}


def test_the_fallback_is_not_asked_where_the_members_suffice(graph_of: GraphOf) -> None:
    """It costs nothing then."""
    versions = {"a@1": Fake(echo), "b@1": Fake(echo), "spare@1": Fake(echo)}
    graph, _ = graph_of("average", versions, fallback={"version": "spare@1"})
    graph.predict(rows(1))

    assert versions["spare@1"].asked == []


def test_a_member_that_is_the_fallback_is_asked_once(graph_of: GraphOf) -> None:
    """Its own answer counts where the others have none."""
    versions = {"a@1": Fake(echo), "b@1": Fake(breaking)}
    fallback = {"version": "a@1", "deadline_ms": 10_000}
    graph, _ = graph_of("average", versions, quorum=2, fallback=fallback)
    answer = graph.predict(rows(1, -2))

    assert answer["members"].tolist() == ["a@1,b@1", "a@1"]
    assert versions["a@1"].asked == [2]


def test_a_fallback_that_does_not_speak_is_no_answer(graph_of: GraphOf) -> None:
    """The declared code, and who is to blame."""
    versions = {"a@1": Fake(breaking), "b@1": Fake(breaking), "spare@1": Fake(breaking)}
    graph, _ = graph_of("average", versions, fallback={"version": "spare@1"}, fail="DEADLINE_EXCEEDED")
    with pytest.raises(NoAnswerError, match=r"^g@1 has no answer: a@1 failed: .*, b@1 failed: .*, spare@1 f") as caught:
        graph.predict(rows(-1))

    assert caught.value.code is Code.DEADLINE_EXCEEDED


def test_what_breaks_a_member_is_in_the_log_and_nowhere_else(
    graph_of: GraphOf, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, however many runs break; and again after it answered in between."""
    graph, _ = graph_of("average", {"a@1": Fake(breaking), "b@1": Fake(echo)})
    for _ in range(2):
        with pytest.raises(NoAnswerError, match=r"^g@1 has no answer: a@1 failed: the server's log says more"):
            graph.predict(rows(-1))
    graph.predict(rows(1))
    with pytest.raises(NoAnswerError):
        graph.predict(rows(-1))

    assert [record.message for record in caplog.records] == ["a@1 broke as a graph's member"] * 2
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_is_no_array_does_not_end_a_members_thread(graph_of: GraphOf) -> None:
    """It does not speak, at once and each time; a thread that died would be waited for."""
    graph, counts = graph_of("average", {"a@1": Fake(lambda _: None), "b@1": Fake(echo)}, quorum=1)  # type: ignore[arg-type,return-value]
    spoke = [graph.predict(rows(1))["members"][0] for _ in range(3)]

    assert spoke == ["b@1"] * 3
    assert counts.totals()["fairlead_graph_member_rows"]["g", "1", "a@1", "invalid"] == [3]


def test_the_mean_of_large_numbers_is_finite(graph_of: GraphOf) -> None:
    """Though their sum would not be."""
    graph, _ = graph_of("average", {"a@1": constant(3e38, 1), "b@1": constant(3e38, 2)})

    np.testing.assert_allclose(graph.predict(rows(1))["y"], [[3e38, 1.5]], rtol=1e-6)


def test_one_row_without_an_answer_is_not_the_others_fault(graph_of: GraphOf) -> None:
    """So whoever runs requests together runs them apart."""
    graph, _ = graph_of("average", {"a@1": Fake(breaking), "b@1": Fake(breaking)})
    with pytest.raises(FairleadError) as caught:
        graph.predict(rows(1, -1))

    assert caught.value.code is Code.UNAVAILABLE
    assert not isinstance(caught.value, NoAnswerError)


def test_what_all_members_refuse_is_the_callers_fault(graph_of: GraphOf) -> None:
    """And said in a member's words."""
    graph, _ = graph_of("average", {"a@1": Fake(refusing), "b@1": Fake(refusing)})
    with pytest.raises(FairleadError, match=r"^a@1: a number is below 0$") as caught:
        graph.predict(rows(-1))

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_too_little_agreement_is_said(graph_of: GraphOf) -> None:
    """Where nobody stands in."""
    graph, _ = graph_of("vote", {"a@1": constant(1, 0), "b@1": constant(0, 1)}, agreement=0.6)

    with pytest.raises(NoAnswerError, match="fewer than 60% agree"):
        graph.predict(rows(1))
