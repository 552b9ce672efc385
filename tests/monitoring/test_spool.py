"""A spool loses nothing that was written to it, whoever is killed, and says what it had to give up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.monitoring.position import Position
from fairlead.monitoring.spool import SpoolReader, SpoolWriter
from fairlead.monitoring.spool_record import Answered, VersionRecord, encode_batch
from fairlead.monitoring.spool_rows import rows_and_tallies

VERSION = VersionRecord(number=1, model="digits", version=3, labels=("no", "yes"), features=("mean", "std"))
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
START = Position()
MADE_US = 0x01890A5DAC96 * 1000


def batch(*requests: Answered, scores: list[list[float]], version: int = 1) -> bytes:
    """The record of a batch whose rows that were answered have these scores."""
    return encode_batch(
        version,
        requests,
        features=np.full((len(scores), 2), 0.5, np.float32),
        outputs={"probs": np.array(scores, np.float32)},
        inputs={},
    )


def one(latency_us: int = 900, **fields: object) -> Answered:
    """A request of one row."""
    said = {"arm": "stable", "rows": 1, "error": "", "is_sampled": True} | fields
    return Answered(ID, latency_us=latency_us, **said)  # type: ignore[arg-type] # as the test says


def written(directory: Path, records: list[bytes], file_bytes: int = 1 << 20, max_bytes: int = 1 << 30) -> list[int]:
    """Write the records and end the file; the bytes of each drop."""
    drops: list[int] = []
    writer = SpoolWriter(directory, max_bytes=max_bytes, on_drop=drops.append, file_bytes=file_bytes)
    for record in records:
        writer.write(VERSION, record)
    writer.close()
    return drops


def read_all(reader: SpoolReader, begin: Position = START, size: int = 1 << 20) -> tuple[list[bytes], Position, int]:
    """Every batch after `begin`, where they end, and how many files were lost."""
    batches: list[bytes] = []
    lost = 0
    while True:
        chunk = reader.read(begin, size)
        batches += chunk.batches
        lost += chunk.lost
        if chunk.end == begin:
            return batches, begin, lost
        begin = chunk.end


def test_categories_come_back_by_their_names(tmp_path: Path) -> None:
    """They are numbers only on the way; one that is missing is none."""
    version = replace(VERSION, features=("age", "job"), categories={"job": ("Cook", "Pilot")})
    features = np.array([[30, 1], [31, 0], [32, np.nan]], np.float32)
    record = encode_batch(1, [one(rows=3)], features=features, outputs={"n": np.zeros(3, np.int64)}, inputs={})
    writer = SpoolWriter(tmp_path, max_bytes=1 << 30, on_drop=lambda _: None, file_bytes=1 << 20)
    writer.write(version, record)
    writer.close()

    chunk = SpoolReader(tmp_path).read(Position(file=1), 1 << 20)
    rows, _ = rows_and_tallies(chunk.versions, chunk.batches)
    assert [row.features for row in rows] == [
        {"age": 30.0, "job": "Pilot"},
        {"age": 31.0, "job": "Cook"},
        {"age": 32.0, "job": None},
    ]


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    """A batch's rows have the id, the arm, the class, the features and the latency of their requests."""
    requests = [one(arm="candidate"), one(rows=2, latency_us=1500)]
    written(tmp_path, [batch(*requests, scores=[[0.25, 0.75], [1, 0], [0.5, 0.5]])])

    chunk = SpoolReader(tmp_path).read(Position(file=1), 1 << 20)
    rows, tallies = rows_and_tallies(chunk.versions, chunk.batches)

    assert [(row.id, row.arm, row.predicted, row.confidence) for row in rows] == [
        (ID, "candidate", "yes", 0.75),
        (f"{ID}.0", "stable", "no", 1.0),
        (f"{ID}.1", "stable", "no", 0.5),
    ]
    assert (rows[0].model, rows[0].version, rows[0].at_us, rows[0].latency_us) == ("digits", 3, MADE_US, 900)
    assert rows[0].outputs == {"probs": [0.25, 0.75]}
    assert rows[0].features == {"mean": 0.5, "std": 0.5}
    assert {(tally.arm, tally.rows, tally.errors, tally.latency[1], tally.latency[2]) for tally in tallies} == {
        ("candidate", 1, 0, 1, 0),
        ("stable", 2, 0, 0, 2),
    }


def test_what_failed_and_what_was_not_sampled(tmp_path: Path) -> None:
    """A failed request has a row with its code and no outputs; one that was not sampled is counted alone."""
    requests = [one(error="INTERNAL"), one(is_sampled=False), one()]
    written(tmp_path, [batch(*requests, scores=[[0.1, 0.9]])])

    chunk = SpoolReader(tmp_path).read(Position(file=1), 1 << 20)
    rows, tallies = rows_and_tallies(chunk.versions, chunk.batches)

    assert [(row.error, row.predicted, row.outputs is None) for row in rows] == [
        ("INTERNAL", None, True),
        ("", "yes", False),
    ]
    assert [(tally.rows, tally.errors) for tally in tallies] == [(3, 1)]


def test_numbers_that_are_none_are_an_error(tmp_path: Path) -> None:
    """A row whose outputs hold a NaN has no class: it is logged as an error."""
    written(tmp_path, [batch(one(), one(), scores=[[float("nan"), 0.2], [0.1, 0.9]])])

    chunk = SpoolReader(tmp_path).read(Position(file=1), 1 << 20)
    rows, _ = rows_and_tallies(chunk.versions, chunk.batches)

    assert [(row.error, row.predicted) for row in rows] == [("OUT_OF_RANGE", None), ("", "yes")]


@settings(deadline=None, max_examples=30)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    file_bytes=st.integers(200, 5000),
    step=st.integers(64, 4000),
)
def test_every_record_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], file_bytes: int, step: int
) -> None:
    """However large files, records and steps are, each record is read once and in order."""
    directory = tmp_path_factory.mktemp("spool")
    records = [batch(*[one(latency_us=number)] * size, scores=[[0, 1]] * size) for number, size in enumerate(sizes)]
    assert written(directory, records, file_bytes) == []

    batches, _, lost = read_all(SpoolReader(directory), size=step)

    assert batches == [record[9:] for record in records]
    assert lost == 0


def test_a_reader_goes_on_where_another_stopped(tmp_path: Path) -> None:
    """A new reader in the middle of a file knows the versions that were named before."""
    written(tmp_path, [batch(one(), scores=[[0, 1]])] * 3)
    reader = SpoolReader(tmp_path)
    first = reader.read(reader.read(Position(), 1).end, 400)
    assert len(first.batches) < 3

    rest, _, _ = read_all(SpoolReader(tmp_path), first.end)
    chunk = SpoolReader(tmp_path).read(first.end, 1 << 20)

    assert len(first.batches) + len(rest) == 3
    assert chunk.versions == {1: VERSION}


def test_the_newest_file_may_still_grow(tmp_path: Path) -> None:
    """Half a record at the end is waited for; once a later file has begun it is given up and counted."""
    written(tmp_path, [batch(one(), scores=[[0, 1]])])
    path = tmp_path / "000000000001.spool"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    reader = SpoolReader(tmp_path)
    batches, end, lost = read_all(reader)
    assert (len(batches), end, lost) == (1, Position(file=1, position=len(whole)), 0)

    written(tmp_path, [batch(one(), scores=[[1, 0]])])

    batches, end, lost = read_all(reader, end)
    assert (len(batches), end.file, lost) == (1, 2, 1)


@pytest.mark.parametrize("place", range(0, 300, 7))
def test_a_flipped_byte_is_noticed(tmp_path: Path, place: int) -> None:
    """Whatever is flipped in a record, neither it nor what follows in its file is taken for a prediction."""
    written(tmp_path, [batch(one(), scores=[[0, 1]])] * 2)
    path = tmp_path / "000000000001.spool"
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 0x40
    path.write_bytes(data)

    batches, _, _ = read_all(SpoolReader(tmp_path))

    assert all(content == batch(one(), scores=[[0, 1]])[9:] for content in batches)
    assert len(batches) < 2


def test_a_full_spool_gives_up_the_oldest(tmp_path: Path) -> None:
    """Past its limit the oldest files go, which the writer counts in bytes and the reader in files."""
    record = batch(*[one()] * 50, scores=[[0, 1]] * 50)
    drops = written(tmp_path, [record] * 40, file_bytes=len(record), max_bytes=10 * len(record))

    batches, _, lost = read_all(SpoolReader(tmp_path), Position(file=1))

    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10 * len(record)
    assert sum(drops) > 20 * len(record)
    assert lost == len(drops)
    assert len(batches) + len(drops) == 40


def test_what_was_shipped_is_deleted_but_the_newest(tmp_path: Path) -> None:
    """Files before the position go; the last stays, so that the next one's number is greater."""
    record = batch(one(), scores=[[0, 1]])
    written(tmp_path, [record] * 3, file_bytes=10)
    reader = SpoolReader(tmp_path)

    reader.discard(Position(file=9))

    assert [path.name for path in tmp_path.iterdir()] == ["000000000003.spool"]
    written(tmp_path, [record])
    assert max(path.name for path in tmp_path.iterdir()) == "000000000004.spool"


def test_a_file_that_goes_while_it_is_looked_at_disturbs_nobody(tmp_path: Path) -> None:
    """Writer and reader delete under each other's eyes; what is listed and gone by the time has no bytes."""
    (tmp_path / f"{1:012d}.spool").symlink_to("gone")
    reader = SpoolReader(tmp_path)
    writer = SpoolWriter(tmp_path, max_bytes=1 << 20, on_drop=lambda _: pytest.fail("dropped"))

    assert reader.backlog_bytes(Position(file=1, position=10)) == 0
    reader.sync(Position())
    writer.write(VERSION, b"x" * 100)
    writer.close()

    assert [path.stat().st_size for path in tmp_path.glob("*2.spool")] == [len(VERSION.encode()) + 100]


def test_a_full_disk_drops_and_recovers(tmp_path: Path) -> None:
    """While nothing can be written, what is given is dropped and counted; later records are written again."""
    blocked = tmp_path / "spool"
    blocked.write_text("a file where the directory should be")
    drops: list[int] = []
    writer = SpoolWriter(blocked, max_bytes=1 << 20, on_drop=drops.append)
    record = batch(one(), scores=[[0, 1]])
    writer.write(VERSION, record)
    assert drops == [len(record)]

    blocked.unlink()
    writer._retry_at = 0.0
    writer.write(VERSION, record)

    assert len(read_all(SpoolReader(blocked))[0]) == 1


CHILD = """
import sys
from pathlib import Path
import numpy as np
from fairlead.monitoring.spool import SpoolWriter
from fairlead.monitoring.spool_record import Answered, VersionRecord, encode_batch
version = VersionRecord(number=1, model="m", version=1, labels=(), features=())
writer = SpoolWriter(Path(sys.argv[1]), max_bytes=1 << 30, on_drop=lambda size: None, file_bytes=1 << 16)
number = 0
while True:
    id_ = f"01890a5d-ac96-774b-bcce-{number:012d}"
    record = encode_batch(1, [Answered(id_, "stable", 1, 5, "", is_sampled=True)], features=None,
                          outputs={"y": np.zeros((1, 300), np.float32)}, inputs={})
    writer.write(version, record)
    print(number, flush=True)
    number += 1
"""


def test_a_killed_writer_loses_nothing(tmp_path: Path) -> None:
    """Every record whose write had returned is read, whenever the process was killed."""
    for turn in range(3):
        directory = tmp_path / str(turn)
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(directory)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(200 + 37 * turn)]
        os.kill(child.pid, signal.SIGKILL)
        said += child.stdout.readlines()
        child.wait()
        child.stdout.close()

        batches, _, lost = read_all(SpoolReader(directory))

        assert len(batches) >= len([line for line in said if line.endswith(b"\n")])
        assert lost == 0
