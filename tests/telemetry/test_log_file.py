"""Lines on the disk: written whole by many, kept for a time, and never at the price of what writes them."""

import json
import logging
import multiprocessing
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from fairlead.telemetry import log_file
from fairlead.telemetry.log_file import Kept, LogFile, Stream, sweep

_LINES, _PROCESSES = 2_000, 4
_DAY_S = 86_400.0


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, day: date = date(2026, 3, 1)) -> None:
        self.at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.at

    def pass_days(self, days: float) -> None:
        self.at += days * _DAY_S

    @property
    def today(self) -> date:
        return datetime.fromtimestamp(self.at, UTC).date()


def opened(
    directory: Path, clock: Clock | None = None, *, max_bytes: int = 1 << 30, file_bytes: int = 1 << 20
) -> tuple[LogFile, list[int]]:
    """A file of the access log, and what it could not write."""
    lost: list[int] = []
    file = LogFile(
        directory,
        Stream.ACCESS,
        max_bytes=max_bytes,
        on_failure=lost.append,
        clock=clock or Clock(),
        file_bytes=file_bytes,
    )
    return file, lost


def names(directory: Path) -> list[str]:
    """What is in the directory."""
    return sorted(path.name for path in directory.iterdir())


def _write_many(directory: Path, writer: int) -> None:
    file, _ = opened(directory, file_bytes=256 << 10)
    for number in range(_LINES):
        file.write(json.dumps({"writer": writer, "number": number, "more": "x" * (number % 300)}).encode() + b"\n")


def test_many_processes_write_whole_lines(tmp_path: Path) -> None:
    """Into the same files, which change in the midst of it; no line is lost, cut or mixed with another."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(tmp_path, each)) for each in range(_PROCESSES)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    lines = [json.loads(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines()]

    assert len(list(tmp_path.iterdir())) > 2
    assert sorted((line["writer"], line["number"]) for line in lines) == [
        (writer, number) for writer in range(_PROCESSES) for number in range(_LINES)
    ]


def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    """Neither the group nor others."""
    file, _ = opened(tmp_path / "logs")
    file.write(b"{}\n")
    (path,) = (tmp_path / "logs").iterdir()

    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_day_has_a_file_of_its_own(tmp_path: Path) -> None:
    """By the clock, in UTC."""
    clock = Clock()
    file, _ = opened(tmp_path, clock)
    for _ in range(3):
        file.write(b"{}\n")
        clock.pass_days(0.4)

    assert names(tmp_path) == ["access-2026-03-01.0.jsonl", "access-2026-03-02.0.jsonl"]
    assert (tmp_path / "access-2026-03-01.0.jsonl").read_bytes() == 2 * b"{}\n"


def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    """A day may have several; whoever comes later goes on with the newest."""
    file, _ = opened(tmp_path, file_bytes=10)
    for _ in range(3):
        file.write(b"x" * 10 + b"\n")
    later, _ = opened(tmp_path, file_bytes=100)
    later.write(b"later\n")

    assert names(tmp_path) == [f"access-2026-03-01.{number}.jsonl" for number in range(3)]
    assert (tmp_path / "access-2026-03-01.2.jsonl").read_bytes().endswith(b"x\nlater\n")


def test_the_oldest_files_go_where_there_is_no_more_room(tmp_path: Path) -> None:
    """All files together stay below the limit, also those of one day, and the newest lines are there."""
    file, lost = opened(tmp_path, max_bytes=4_000, file_bytes=1_000)
    for number in range(1_000):
        file.write(b"%090d\n" % number)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 4_000
    written = b"".join(sorted(path.read_bytes() for path in tmp_path.iterdir()))

    assert written.endswith(b"999\n")
    assert written.count(b"\n") >= 20
    assert not lost


@pytest.mark.parametrize(("stream", "days"), [(Stream.ACCESS, 30), (Stream.APPLICATION, 90), (Stream.PAYLOADS, 14)])
def test_lines_go_when_their_time_is_over(tmp_path: Path, stream: Stream, days: int) -> None:
    """By a clock that is moved day by day: each line is there for at least a day less than its time, and not longer."""
    clock = Clock()
    file = LogFile(tmp_path, stream, max_bytes=1 << 30, on_failure=lambda _: None, clock=clock)
    kept = Kept(days=days, max_bytes=1 << 30)
    first = clock.at
    for _ in range(days + 20):
        file.write(b"%d\n" % clock.at)
        sweep(tmp_path, stream, kept, today=clock.today)
        written = [int(line) for path in tmp_path.iterdir() for line in path.read_text().split()]

        assert min(written) > clock.at - days * _DAY_S
        assert min(written) <= max(first, clock.at - (days - 1) * _DAY_S)
        clock.pass_days(1)
    clock.pass_days(days + 1)
    gone = sweep(tmp_path, stream, kept, today=clock.today)

    assert len(gone) == days
    assert names(tmp_path) == []


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Those of another stream, and those that nobody here wrote."""
    others = ["application-2020-01-01.0.jsonl", "access-2020-01-01.0.jsonl.gz", "access-2020-13-77.0.jsonl", "mine"]
    for name in (*others, "access-2020-01-01.0.jsonl"):
        (tmp_path / name).write_text("{}\n")

    gone = sweep(tmp_path, Stream.ACCESS, Kept(days=1, max_bytes=1), today=Clock().today)

    assert gone == ["access-2020-01-01.0.jsonl"]
    assert names(tmp_path) == sorted(others)


def test_a_file_that_is_taken_away_is_made_again(tmp_path: Path) -> None:
    """Lines do not go to where nobody can read them."""
    file, lost = opened(tmp_path)
    file.write(b"1\n")
    for path in tmp_path.iterdir():
        path.unlink()
    file.write(b"2\n")

    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"2\n"]
    assert not lost


def test_a_full_disk_costs_lines_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """They are counted, it is said once, and lines are written again once there is room."""
    monkeypatch.setattr(log_file, "_RETRY_S", 0.0)
    full = tmp_path / "access-2026-03-01.0.jsonl"
    full.symlink_to("/dev/full")
    file, lost = opened(tmp_path)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            file.write(b"{}\n{}\n")
        full.unlink()
        file.write(b"now\n")

    assert sum(lost) == 6
    assert full.read_bytes() == b"now\n"
    assert [record.message for record in caplog.records] == [
        f"the access log cannot be written to {tmp_path}: No space left on device",
        "the access log is written again; 6 lines of it were lost",
    ]


def test_what_cannot_be_written_is_not_tried_at_once_again(tmp_path: Path) -> None:
    """A disk that is gone is asked once a second."""
    (tmp_path / "logs").write_text("no directory")
    file, lost = opened(tmp_path / "logs")
    file.write(b"1\n")
    (tmp_path / "logs").unlink()
    file.write(b"2\n")

    assert lost == [1, 1]
    assert not (tmp_path / "logs").exists()


def test_half_a_line_stands_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk was full in the midst of a line, the next one begins on a line of its own."""
    monkeypatch.setattr(log_file, "_RETRY_S", 0.0)
    file, lost = opened(tmp_path)
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:9]))
        file.write(b'{"a": 1}\n{"b": 2}\n{"c": 3}\n')
        file.write(b"")
    file.write(b'{"d": 4}\n')
    (path,) = tmp_path.iterdir()

    assert sum(lost) == 2
    assert path.read_text().splitlines() == ['{"a": 1}', "", '{"d": 4}']


def test_lines_of_a_day_that_is_not_over_stay(tmp_path: Path) -> None:
    """Whatever the time to live, what is being written to is not taken away."""
    clock = Clock()
    file, _ = opened(tmp_path, clock)
    file.write(b"{}\n")

    assert sweep(tmp_path, Stream.ACCESS, Kept(days=1, max_bytes=1), today=clock.today) == []
    assert sweep(tmp_path, Stream.ACCESS, Kept(days=1, max_bytes=1), today=clock.today + timedelta(days=1)) != []
