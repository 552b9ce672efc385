"""What is counted in one process is counted, whatever happens to that process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.telemetry.instruments import Counter, Exemplar, Exemplars, Gauge, Histogram, Instruments, Merge
from fairlead.telemetry.region import Memory, Region

LABELS = ("model", "version")


@pytest.fixture
def processes() -> Callable[[int], Instruments]:
    """The instruments of a process that takes the region of that number, of three."""
    memory = Memory.make(3)
    return lambda home: Instruments(memory.pieces, home)


def requests(instruments: Instruments) -> Counter:
    """A counter by model and version."""
    return Counter(instruments, "requests", "Requests.", LABELS)


def test_processes_are_added_up(processes: Callable[[int], Instruments]) -> None:
    """Counters and histograms of all, the same from whichever process one looks."""
    several = [processes(home) for home in range(3)]
    for instruments in several:
        requests(instruments).labels("m", "1").inc()
        seconds = Histogram(instruments, "seconds", "Seconds.", bounds=(1.0, 2.0)).labels()
        for value in (0.5, 1.0, 1.5, 9.0):
            seconds.observe(value)

    for instruments in several:
        totals = instruments.totals()
        assert totals["requests"] == {("m", "1"): [3.0]}
        assert totals["seconds"] == {(): [36.0, 6.0, 3.0, 3.0]}


def test_counters_outlive_their_process(processes: Callable[[int], Instruments]) -> None:
    """The next one in the region goes on where it was, and so do readers in between."""
    reader = processes(0)
    requests(reader)
    requests(processes(1)).labels("m", "1").inc(2)
    reader.abandon(1)
    assert reader.totals()["requests"] == {("m", "1"): [2.0]}
    requests(processes(1)).labels("m", "1").inc()
    assert reader.totals()["requests"] == {("m", "1"): [3.0]}


def test_gauges_end_with_their_process(processes: Callable[[int], Instruments]) -> None:
    """None is shown that nobody stands for, and the next process does not inherit it."""

    def gauges(instruments: Instruments) -> tuple[Gauge, Gauge]:
        return (
            Gauge(instruments, "sum", "Sum.", ["of"], how=Merge.SUM),
            Gauge(instruments, "max", "Max.", ["of"], how=Merge.MAX),
        )

    reader = processes(0)
    gauges(reader)
    for home in (1, 2):
        for gauge in gauges(processes(home)):
            gauge.labels("x").set(home)
    assert reader.totals() == {"sum": {("x",): [3.0]}, "max": {("x",): [2.0]}}
    reader.abandon(2)
    assert reader.totals() == {"sum": {("x",): [1.0]}, "max": {("x",): [1.0]}}
    processes(2)
    assert reader.totals() == {"sum": {("x",): [1.0]}, "max": {("x",): [1.0]}}


def test_a_version_takes_its_series_along(processes: Callable[[int], Instruments]) -> None:
    """Whichever process counted them; what is of no version, or of another one, stays."""
    parent, worker = processes(0), processes(1)
    requests(parent)
    for instruments in (processes(2), worker):
        counter = requests(instruments)
        for version in ("1", "2", ""):
            counter.labels("m", version).inc()
        Counter(instruments, "plain", "Plain.").labels().inc()
    is_wanted = lambda model, version: (model, version) == ("m", "2")  # noqa: E731
    worker.retain(is_wanted)
    assert parent.totals()["requests"] == {("m", "2"): [2.0], ("m", ""): [2.0]}  # the half of a count is none
    parent.abandon(2)
    parent.sweep([2], is_wanted)
    assert parent.totals()["requests"] == {("m", "2"): [2.0], ("m", ""): [2.0]}
    assert worker.totals()["plain"] == {(): [2.0]}


def test_a_version_that_comes_back_soon_is_gone_on_with(processes: Callable[[int], Instruments]) -> None:
    """Its series were only hidden; what was asked for meanwhile was not theirs."""
    parent, worker = processes(0), processes(1)
    requests(parent)
    counter = requests(worker)
    counter.labels("m", "1").inc(5)
    worker.retain(lambda _model, _version: False)
    assert counter.find("m", "1") is None
    worker.retain(lambda _model, _version: True)
    assert parent.totals()["requests"] == {("m", "1"): [5.0]}
    counter.labels("m", "1").inc()
    assert parent.totals()["requests"] == {("m", "1"): [6.0]}


def test_what_was_hidden_for_long_makes_room() -> None:
    """Its record becomes another series'."""
    pieces = Memory.make(1).pieces
    instruments = Instruments(pieces, 0)
    requests(instruments).labels("m", "1").inc()
    (key,) = Region(pieces[0]).series()
    Region(pieces[0]).hide(key, 1)  # the first nanosecond of the machine
    instruments.retain(lambda _model, _version: False)
    assert Region(pieces[0]).series() == []


def test_a_retired_series_counts_nowhere() -> None:
    """Not in the series that has its record now; asked for again it begins at nothing."""
    instruments = Instruments()
    counter = requests(instruments)
    old = counter.labels("m", "1")
    counter.remove("m", "1")
    counter.remove("m", "1")
    new = counter.labels("m", "2")
    old.inc(7)
    new.inc()
    assert instruments.totals()["requests"] == {("m", "2"): [1.0]}
    counter.labels("m", "1").inc()
    assert instruments.totals()["requests"] == {("m", "1"): [1.0], ("m", "2"): [1.0]}


def test_a_full_region_fails_no_request() -> None:
    """Further series are counted nowhere, and how many there were is known."""
    instruments = Instruments()
    counter = Counter(instruments, "names", "Names.", ["name"])
    for number in range(30_000):
        counter.labels(f"a name that a client made up {number}").inc()

    assert 1000 < len(instruments.totals()["names"]) < 30_000
    assert instruments.overflows == 30_000 - len(instruments.totals()["names"])


def test_families_of_another_release_are_left_out(processes: Callable[[int], Instruments]) -> None:
    """During an upgrade processes may count under one name in different ways."""
    Histogram(processes(1), "x", "X.", bounds=(1.0,)).labels().observe(1)
    reader = processes(0)
    Histogram(reader, "x", "X.", bounds=(1.0, 2.0)).labels().observe(1)

    assert reader.totals()["x"] == {(): [1.0, 1.0, 0.0, 0.0]}


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10)), st.sets(st.floats(-5, 5), min_size=1).map(sorted))
def test_every_observation_is_in_one_bucket(values: list[float], bounds: list[float]) -> None:
    """The one with the smallest bound that is not below it."""
    instruments = Instruments()
    series = Histogram(instruments, "h", "H.", bounds=bounds).labels()
    for value in values:
        series.observe(value)
    ((total, *counts),) = instruments.totals()["h"].values()

    assert total == pytest.approx(sum(values))
    below = [sum(value <= bound for value in values) for bound in bounds]
    assert [sum(counts[: which + 1]) for which in range(len(bounds))] == below
    assert sum(counts) == len(values)


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_label_values(one: str, other: str) -> None:
    """Whatever a client wrote."""
    instruments = Instruments()
    counter = Counter(instruments, "c", "C.", ["one", "other"])
    counter.labels(one, other).inc()

    assert instruments.totals()["c"] == {(one, other): [1.0]}


def test_series_may_be_made_in_any_thread() -> None:
    """Threads that want the same one get the same one."""
    instruments = Instruments()
    counter = Counter(instruments, "c", "C.", ["n"])
    barrier = threading.Barrier(8)

    def make() -> None:
        barrier.wait()
        for number in range(200):
            counter.labels(str(number))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(instruments.counted(counter)) == 200


def test_a_bucket_shows_the_newest_exemplar_of_all_processes(processes: Callable[[int], Instruments]) -> None:
    """Whoever noted it; other buckets keep theirs, and those without any have none."""
    several = [Histogram(processes(home), "seconds", "Seconds.", bounds=(1.0, 2.0)) for home in range(2)]
    reader = processes(2)
    family = Histogram(reader, "seconds", "Seconds.", bounds=(1.0, 2.0)).exemplars
    for number, (which, value) in enumerate([(0, 0.5), (1, 1.0), (0, 9.0), (1, 8.0), (0, 7.0)]):
        several[which].exemplars.labels().note(value, f"{number:032x}")

    low, middle, high = family.read(reader.totals()[family.name][()])
    assert low is not None
    assert high is not None
    assert middle is None
    assert (low.trace_id, low.value) == (f"{1:032x}", 1.0)
    assert (high.trace_id, high.value) == (f"{4:032x}", 7.0)
    assert time.time() - 60 < low.at < high.at <= time.time()


@settings(deadline=None)
@given(st.integers(1, 2**128 - 1))
def test_an_exemplar_has_the_trace_that_it_was_given(number: int) -> None:
    """Every digit of its id."""
    instruments = Instruments()
    exemplars = Histogram(instruments, "seconds", "Seconds.", bounds=()).exemplars
    exemplars.labels().note(1.0, f"{number:032x}")
    (found,) = exemplars.read(instruments.totals()[exemplars.name][()])
    assert found is not None
    assert found.trace_id == f"{number:032x}"


def test_an_exemplar_that_is_half_written_is_none() -> None:
    """Its two moments differ until it is whole."""
    cells = [2.0, 0.0, 0.0, 0.0, 7.0, 0.5, 2.0]
    assert Exemplars.read(cells) == [Exemplar("0" * 31 + "7", 0.5, 2.0)]
    assert Exemplars.read([*cells[:-1], 3.0]) == Exemplars.read([0.0] * 7) == [None]
