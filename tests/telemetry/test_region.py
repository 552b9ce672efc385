"""Memory that one process counts in and others read: nothing is lost, nothing is seen by halves."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from fairlead.errors import Code, FairleadError
from fairlead.telemetry.region import REGION_BYTES, Memory, Region

KEYS = st.binary(min_size=0, max_size=40)
COUNTS = st.integers(1, 12)


def seen(region: Region) -> dict[bytes, list[float]]:
    """What any reader finds."""
    found = list(region.read())
    assert len(found) == len(dict(found))
    return dict(found)


def cells_of(region: Region, key: bytes, count: int) -> memoryview[float]:
    """The series' cells, for which there is room."""
    cells = region.cells(key, count)
    assert cells is not None
    return cells


class Life(RuleBasedStateMachine):
    """A region through series and processes that come and go, beside a dict that does the same."""

    keys: Bundle[tuple[bytes, int]] = Bundle("keys")

    def __init__(self) -> None:
        super().__init__()
        self.memory = memoryview(bytearray(64 * 64))
        self.region = Region(self.memory)
        self.expected: dict[bytes, list[float]] = {}

    @rule(target=keys, key=KEYS, count=COUNTS)
    def add(self, key: bytes, count: int) -> tuple[bytes, int]:
        """A series is there once it is asked for, unless the region is full."""
        if self.region.cells(key, count) is None:
            self.expected.pop(key, None)  # one with another number of cells has gone for it
        elif len(self.expected.get(key, [])) != count:
            self.expected[key] = [0.0] * count
        return key, count

    @rule(series=keys, amount=st.floats(-1e9, 1e9), data=st.data())
    def count(self, series: tuple[bytes, int], amount: float, data: st.DataObject) -> None:
        """A cell keeps what is put into it."""
        key, count = series
        if len(self.expected.get(key, [])) == count:
            cell = data.draw(st.integers(0, count - 1))
            cells_of(self.region, key, count)[cell] += amount
            self.expected[key][cell] += amount

    @rule(series=keys)
    def retire(self, series: tuple[bytes, int]) -> None:
        """A series that is retired is gone, and may be retired again."""
        self.region.retire(series[0])
        self.expected.pop(series[0], None)

    @rule()
    def follow(self) -> None:
        """The next process finds everything."""
        self.region = Region(self.memory)

    @invariant()
    def is_as_expected(self) -> None:
        """Owner, successor and reader agree."""
        assert seen(self.region) == seen(Region(self.memory)) == self.expected
        assert sorted(self.region.series()) == sorted(self.expected)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_was_retired_makes_room() -> None:
    """Series that come and go for ever need no more memory than those that are there at once."""
    region = Region(memoryview(bytearray(1024)))
    for version in range(10_000):
        key = b"version %d" % version
        assert region.cells(key, 3) is not None
        region.retire(key)
    assert region.overflows == 0


def test_a_full_region_says_so() -> None:
    """A series without room is none, it is counted that there was one, and the others go on."""
    region = Region(memoryview(bytearray(1024)))
    cells = cells_of(region, b"first", 1)
    while region.cells(b"%d" % len(region.series()), 1) is not None:
        pass
    cells[0] += 1

    assert region.overflows == 1
    assert seen(region)[b"first"] == [1.0]


@settings(deadline=None)
@given(st.lists(st.integers(0, 400), min_size=40, max_size=40))
def test_what_a_killed_process_left_behind_the_end_does_no_harm(rubbish: list[int]) -> None:
    """A record that was not finished is none, and the next ones take its place."""
    memory = memoryview(bytearray(64 * 64))
    cells_of(Region(memory), b"first", 1)[0] = 1.0
    words = memory.cast("q")
    behind = 8 + 8 + 1  # after the header and the record, and a size of 0: it would have been written last
    for at, word in enumerate(rubbish, behind):
        words[at] = word
    successor = Region(memory)
    assert seen(successor) == {b"first": [1.0]}
    cells_of(successor, b"a", 1)[0] = 2.0
    assert seen(successor) == seen(Region(memory)) == {b"first": [1.0], b"a": [2.0]}
    cells_of(successor, b"b", 20)[19] = 3.0
    assert seen(Region(memory)) == {b"first": [1.0], b"a": [2.0], b"b": [0.0] * 19 + [3.0]}


WRITER = """
import sys, time
from fairlead.telemetry.region import Memory, Region
region = Region(Memory(int(sys.argv[1]), 1).pieces[0])
print("begun", flush=True)
turn = 0
end = time.monotonic() + 60  # nobody may be there to kill it
while time.monotonic() < end:
    turn += 1
    keys = [b"%d:%d" % (which, turn) * (1 + which) for which in range(4)]
    for key in keys:
        cells = region.cells(key, 5)
        for cell in range(5):
            cells[cell] = float(turn)
    for key in keys:
        region.retire(key)
"""


def test_a_reader_sees_whole_records_only() -> None:
    """While another process makes and retires series as fast as it can, and after it was killed in the middle."""
    memory = Memory.make(1)
    reader = Region(memory.pieces[0])
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(memory.descriptor)],
        pass_fds=(memory.descriptor,),
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        turns = set()
        try:
            for _ in range(60_000):
                for key, cells in reader.read():
                    name, _, turn = key[: len(key) // (1 + int(key[:1]))].partition(b":")
                    assert key == b"%s:%s" % (name, turn) * (1 + int(name))
                    assert set(cells) <= {0.0, float(turn)}
                    turns.add(turn)
        finally:
            writer.kill()

    assert len(turns) > 10
    successor = Region(memory.pieces[0])
    for key in successor.series():
        successor.retire(key)
    assert seen(successor) == {}


def test_memory_is_shared_with_whoever_has_its_descriptor() -> None:
    """What one counts the other reads; regions do not overlap."""
    memory = Memory.make(3)
    other = Memory(os.dup(memory.descriptor), 3)
    for which, piece in enumerate(memory.pieces):
        cells_of(Region(piece), b"key", 1)[0] = float(which)

    assert [seen(Region(piece)) for piece in other.pieces] == [{b"key": [0.0]}, {b"key": [1.0]}, {b"key": [2.0]}]
    assert [len(piece) for piece in memory.pieces] == [REGION_BYTES] * 3


def test_memory_that_is_not_there_is_said() -> None:
    """At the start, not in the middle of a request."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (REGION_BYTES, before[1]))
    try:
        with pytest.raises(FairleadError) as caught:
            Memory.make(2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED
