"""Figures add up to what happened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.servable.identity import ServableId
from fairlead.serving.statistics import Duration, Statistics, VersionStatistics
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.region import Memory

ONE, OTHER = ServableId("m", 1), ServableId("m", 2)


def test_a_batch_is_counted_for_each_of_its_requests() -> None:
    """Each request waited its own time and took all of the batch's; rows and runs are counted once."""
    statistics = Statistics(Instruments(), clock_s=lambda: 12.5)
    statistics.ran(ONE, rows=[2, 3], waited_s=[0.1, 0.3], failed=[False, False], compute_s=1.0)

    assert statistics.read([ONE, OTHER])[ONE] == VersionStatistics(
        rows=5,
        runs=1,
        last_ms=12_500,
        success=Duration(2, 2_400_000_000),
        queue=Duration(2, 400_000_000),
        compute=Duration(2, 2_000_000_000),
        batches={5: Duration(1, 1_000_000_000)},
    )
    assert statistics.read([ONE, OTHER])[OTHER] == VersionStatistics()


def test_requests_that_fail_are_counted_apart() -> None:
    """They ran with the batch and gave no rows."""
    statistics = Statistics(Instruments(), clock_s=lambda: 0.0)
    statistics.ran(ONE, rows=[2, 3], waited_s=[0.5, 0.25], failed=[True, False], compute_s=1.0)

    figures = statistics.read([ONE])[ONE]
    assert (figures.rows, figures.runs, figures.batches) == (3, 1, {5: Duration(1, 1_000_000_000)})
    assert (figures.success, figures.fail) == (Duration(1, 1_250_000_000), Duration(1, 1_500_000_000))
    assert figures.queue == Duration(1, 250_000_000)


def test_the_figures_are_those_of_all_processes() -> None:
    """Each counts for itself and reads what all counted; of a version that one forgets nothing is known."""
    pieces = Memory.make(2).pieces
    one, other = (Instruments(pieces, home) for home in range(2))
    for instruments in (one, other):
        statistics = Statistics(instruments)
        statistics.ran(ONE, rows=[2], waited_s=[0.5], failed=[False], compute_s=1.0)

    assert statistics.read([ONE])[ONE].success == Duration(2, 3_000_000_000)
    assert statistics.read([ONE])[ONE].batches == {2: Duration(2, 2_000_000_000)}
    other.retain(lambda _model, _version: False)
    assert statistics.read([ONE])[ONE].success == Duration(0, 0)


def test_clients_cannot_make_more_sizes_than_there_is_room_for() -> None:
    """Runs of many rows are rounded up to a power of 2; those that batching makes are exact."""
    instruments = Instruments()
    statistics = Statistics(instruments)
    for rows in range(1, 10_001):
        statistics.ran(ONE, rows=[rows], waited_s=[0.0], failed=[False], compute_s=0.001)

    batches = statistics.read([ONE])[ONE].batches
    assert list(batches)[:256] == list(range(1, 257))
    assert sorted(batches)[256:] == [512, 1024, 2048, 4096, 8192, 16384]
    assert sum(run.count for run in batches.values()) == 10_000
    assert instruments.overflows == 0


REQUESTS = st.lists(st.tuples(st.integers(1, 50), st.floats(0, 10), st.booleans()), min_size=1, max_size=8)


@given(st.lists(st.tuples(REQUESTS, st.floats(0, 10)), max_size=6))
def test_every_request_is_counted_once(batches: list[tuple[list[tuple[int, float, bool]], float]]) -> None:
    """Over any batches, requests are the successes and the failures, and sizes are the runs."""
    statistics = Statistics(Instruments())
    for requests, compute_s in batches:
        rows, waited_s, failed = zip(*requests, strict=True)
        statistics.ran(ONE, rows=rows, waited_s=waited_s, failed=failed, compute_s=compute_s)

    figures = statistics.read([ONE])[ONE]
    everyone = [request for requests, _ in batches for request in requests]
    assert figures.success.count + figures.fail.count == len(everyone)
    assert figures.rows == sum(rows for rows, _, has_failed in everyone if not has_failed)
    assert sum(duration.count for duration in figures.batches.values()) == figures.runs == len(batches)
    took = sum(waited + compute_s for requests, compute_s in batches for _, waited, _ in requests)
    assert figures.success.ns + figures.fail.ns == pytest.approx(took * 1e9, abs=1e3)
