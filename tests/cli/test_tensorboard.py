"""`fairlead tensorboard`: the real thing over HTTP, with runs that are old enough to go."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import time_machine

from fairlead.app.controlling import open_controller
from fairlead.config import Settings
from fairlead.training.log_retention import delete_training_logs

from .clients import wait_until

NOW = datetime.now(UTC)
COMMAND = (sys.executable, "-m", "fairlead.cli.main", "tensorboard")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two runs: one that ended just now, and one that ended 40 days ago."""
    write_run(tmp_path / "tensorboard" / "digits-new", NOW)
    write_run(tmp_path / "tensorboard" / "digits-old", NOW - timedelta(days=40))
    return tmp_path


def write_run(run: Path, ended: datetime) -> None:
    """The logs of a run whose accuracy rose to 0.97."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(run / "train"))
    for step, accuracy in enumerate((0.9, 0.95, 0.97)):
        value = Summary.Value(tag="accuracy", simple_value=accuracy)
        writer.add_event(Event(wall_time=ended.timestamp(), step=step, summary=Summary(value=[value])))
    writer.close()
    for path in sorted(run.rglob("*"), reverse=True):
        os.utime(path, (ended.timestamp(), ended.timestamp()))
    os.utime(run, (ended.timestamp(), ended.timestamp()))


@contextmanager
def showing(home: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and its address, once it answers."""
    log = home / "log"
    with log.open("wb") as writer:
        command = [*COMMAND, "--home", str(home), "--tensorboard-port", "0", *flags]
        process = subprocess.Popen(command, stdout=writer, stderr=writer)
    try:
        wait_until(lambda: " at http" in log.read_text() or process.poll() is not None)
        found = re.search(r"training runs are shown at (http://127\.0\.0\.1:\d+/)", log.read_text())
        assert found, log.read_text()
        yield process, found[1]
    finally:
        process.kill()
        process.wait(10)


def read(address: str) -> Any:
    """What TensorBoard says as JSON."""
    with urllib.request.urlopen(address, timeout=20) as answer:
        return json.load(answer)


def test_the_runs_are_shown_and_old_ones_are_gone(home: Path) -> None:
    """Over HTTP: the curve of the run that is kept, and only that; small, and ended by a signal."""
    with showing(home, "--keep-training-logs-days", "30") as (process, address):
        wait_until(lambda: bool(read(f"{address}data/runs")))

        assert read(f"{address}data/runs") == ["digits-new/train"]
        points = read(f"{address}data/plugin/scalars/scalars?run=digits-new/train&tag=accuracy")
        assert [round(value, 2) for _, _, value in points] == [0.9, 0.95, 0.97]
        assert [path.name for path in (home / "tensorboard").iterdir()] == ["digits-new"]
        assert psutil.Process(process.pid).memory_info().rss < 200e6
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert "the run digits-old are deleted" in (home / "log").read_text()


def test_a_taken_port_is_said_with_the_next_command(home: Path) -> None:
    """Exit status 1, and no other port in its place."""
    with showing(home) as (_, address):
        port = address.rsplit(":", 1)[1].strip("/")
        command = [*COMMAND, "--home", str(home), "--tensorboard-port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert f"TensorBoard cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "try: fairlead tensorboard --tensorboard-port 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_tensorboard_the_way_to_install_it_is_said(tmp_path: Path) -> None:
    """And nothing is made or deleted."""
    hidden = (
        "import sys; sys.modules['tensorboard.program'] = None; from fairlead.cli.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", hidden, "tensorboard", "--home", str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "fairlead tensorboard needs tensorboard.program, which is not installed" in done.stderr
    assert "try: pip install 'fairlead[tensorboard]'" in done.stderr
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(("days", "left"), [(29, ["digits-new"]), (31, [])])
def test_the_controller_deletes_them_by_the_clock(home: Path, days: int, left: list[str]) -> None:
    """The logs of a run stay for the days that were set after it ended, and not longer."""
    settings = Settings(home=home, keep_training_logs_days=30, backup_hours=0, schedule="never")
    with time_machine.travel(NOW + timedelta(days=days), tick=False):
        controller = open_controller(settings, [], {})
        controller.look()
        controller.close()

    assert sorted(path.name for path in (home / "tensorboard").iterdir()) == left


def test_a_run_that_goes_on_is_kept_whenever_it_began(home: Path) -> None:
    """Its newest file counts; links and files that are no runs are left alone."""
    root = home / "tensorboard"
    (root / "digits-old" / "train" / "events.new").write_text("x")
    (root / "note.txt").write_text("x")
    (root / "link").symlink_to(home)

    deleted = delete_training_logs(root, keep=timedelta(days=30), now=NOW + timedelta(days=1))

    assert deleted == ()
    assert delete_training_logs(root / "absent", keep=timedelta(days=30), now=NOW) == ()
    assert delete_training_logs(root, keep=timedelta(days=30), now=NOW + timedelta(days=99)) == (
        "digits-new",
        "digits-old",
    )
    assert sorted(path.name for path in root.iterdir()) == ["link", "note.txt"]
    assert home.is_dir()
