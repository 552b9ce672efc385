"""Work in progress leaves nothing behind, whichever way it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fairlead.controller.workspace import workspace

KILLED = """
import os, signal, sys
from pathlib import Path
from fairlead.controller.workspace import workspace
with workspace(Path(sys.argv[1])) as directory:
    (directory / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_workspace_is_empty_and_gone_afterwards(tmp_path: Path) -> None:
    """Also when the work fails."""
    with workspace(tmp_path / "work") as directory:
        assert list(directory.iterdir()) == []
        (directory / "file").write_text("x")

    assert list((tmp_path / "work").iterdir()) == []


def test_what_a_killed_worker_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """The lock went with the process, so the directory is nobody's."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=60, check=False)
    assert done.returncode == -9
    assert len(list(tmp_path.glob("*/half"))) == 1

    with workspace(tmp_path) as directory:
        assert {path.name for path in tmp_path.iterdir()} == {directory.name, f"{directory.name}.lock"}


def test_a_worker_at_work_is_left_alone(tmp_path: Path) -> None:
    """Two runs at once do not see each other."""
    with workspace(tmp_path) as first:
        (first / "file").write_text("x")
        with workspace(tmp_path) as second:
            assert second != first

        assert (first / "file").read_text() == "x"
