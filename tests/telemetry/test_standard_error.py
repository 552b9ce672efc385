"""A standard error that takes no more: a full disk, a file that may not grow, a reader that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys
from fairlead.telemetry.logs import configure_logging
from fairlead.telemetry.standard_error import keep_standard_error
configure_logging(keep_standard_error(), "json")
logging.getLogger("x").warning("a line")
print("said", file=sys.stderr, flush=True)
print("not flushed", end="", file=sys.stderr)
print(sys.stderr.fileno(), sys.stderr.isatty())
sys.exit(int(sys.argv[1]))
"""


def full() -> int:
    """Of a disk that has no room."""
    return os.open("/dev/full", os.O_WRONLY)


def unread() -> int:
    """Of a pipe whose other end is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("opened", [full, unread])
@pytest.mark.parametrize("status", [0, 3])
def test_what_cannot_be_said_decides_no_exit_status(opened: Callable[[], int], status: int) -> None:
    """The program goes on, and ends with what it says itself."""
    stderr = opened()
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(status)], stderr=stderr, stdout=subprocess.PIPE, check=False
        )
    finally:
        os.close(stderr)

    assert (done.returncode, done.stdout) == (status, b"2 False\n")


def test_all_of_it_is_there_where_it_can_be_written(tmp_path: Path) -> None:
    """In order, also a part of a line that nobody flushed, and characters that there are not."""
    with (tmp_path / "log").open("wb") as log:
        program = PROGRAM.replace('"said"', '"s\\udc80id" * 50_000')
        subprocess.run([sys.executable, "-c", program, "0"], stderr=log, check=True, stdout=subprocess.DEVNULL)

    first, said, last = (tmp_path / "log").read_text().split("\n")
    assert '"message": "a line"' in first
    assert said == "s\\udc80id" * 50_000
    assert last == "not flushed"
