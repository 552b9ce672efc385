"""A member that hangs holds few threads, and is asked again once it is back."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.graphs.fakes import Fake, constant, hanging, rows

from fairlead.servable.signature import Array

from .conftest import GraphOf

RUNS = 8


def stuck(name: str) -> int:
    """How many threads a member has."""
    return sum(thread.name == f"member {name}" for thread in threading.enumerate())


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_one_that_hangs_holds_a_thread_for_each_run_at_once_and_no_more(graph_of: GraphOf) -> None:
    """However many runs follow, and all of them are answered."""
    over = threading.Event()
    versions = {"a@1": constant(1, 0), "stuck@1": hanging(over)}
    graph, counts = graph_of("average", versions, quorum=1, deadlines={"stuck@1": 10})
    with ThreadPoolExecutor(RUNS) as pool:
        answers = list(pool.map(lambda _: graph.predict(rows(1))["members"][0], range(1000)))
    held = stuck("stuck@1")
    over.set()
    graph.close()

    assert answers == ["a@1"] * 1000
    assert 1 <= held <= RUNS
    assert len(versions["stuck@1"].asked) == held
    members = counts.totals()["fairlead_graph_member_rows"]
    assert members["g", "1", "stuck@1", "late"] == [held]
    assert members["g", "1", "stuck@1", "skipped"] == [1000 - held]
    wait_until(lambda: stuck("stuck@1") == stuck("a@1") == 0)
    assert versions["a@1"].is_closed
    assert versions["stuck@1"].is_closed


def test_one_that_was_late_speaks_again_once_it_is_back(graph_of: GraphOf) -> None:
    """Nothing has to be reset."""
    over = threading.Event()
    graph, _ = graph_of("average", {"a@1": constant(1, 0), "b@1": hanging(over)}, quorum=1, deadlines={"b@1": 10})
    late, skipped = (graph.predict(rows(1))["members"][0] for _ in range(2))
    over.set()

    assert (late, skipped) == ("a@1", "a@1")
    wait_until(lambda: graph.predict(rows(1))["members"][0] == "a@1,b@1")


def test_two_that_are_late_delay_a_run_no_more_than_one(graph_of: GraphOf) -> None:
    """Members are waited for at the same time, and each time that they are asked."""
    over = threading.Event()
    versions = {"a@1": constant(1, 0), "b@1": hanging(over), "c@1": hanging(over)}
    graph, _ = graph_of("average", versions, quorum=1, deadlines={"b@1": 300, "c@1": 300})
    took_s = []
    for _ in range(3):
        over.clear()
        began = time.monotonic()
        spoke = graph.predict(rows(1))["members"][0]
        took_s.append(time.monotonic() - began)
        over.set()
        wait_until(lambda: graph.predict(rows(1))["members"][0] == "a@1,b@1,c@1")

        assert spoke == "a@1"
    assert min(took_s) >= 0.3
    assert statistics.median(took_s) < 0.55  # in one of them the machine may stand still


def test_a_graph_that_proves_itself_is_patient(graph_of: GraphOf) -> None:
    """A deadline is for requests, not for a machine that is busy loading."""

    def slow(x: Array) -> Array:
        time.sleep(0.03)
        return x

    graph, _ = graph_of("average", {"a@1": Fake(slow), "b@1": Fake(slow)}, deadlines={"a@1": 5, "b@1": 5})
    graph.patience_s = 10

    assert graph.predict(rows(1))["members"][0] == "a@1,b@1"
