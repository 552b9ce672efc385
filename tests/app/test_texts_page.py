"""What `docs/texts.md` shows works as it stands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import StartServer, start_server

__all__ = ["start_server"]

PAGE = (Path(__file__).parents[2] / "docs" / "texts.md").read_text()
(PROGRAM,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(SHOWN,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
ASKED = [shlex.split(line)[-2:] for line in re.findall(r"^    (curl .*topics.*)$", PAGE, re.MULTILINE)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the page's program has published."""
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "FAIRLEAD_HOME": str(home)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(SHOWN)
    return home


def test_each_request_is_answered_alike(home: Path, start_server: StartServer) -> None:
    """By all protocols: where a parcel is asked for is a matter of delivery, what was charged twice one of payment."""
    server = start_server(home / "store", "--workers", "1")
    server.wait_ready()
    answers = [server.call("POST", url.partition(":8501")[2], body.encode()) for body, url in ASKED]

    assert [status for status, _ in answers] == [200] * 4
    simple, several, rows, tensors = (answer for _, answer in answers)
    assert simple["label"] == "delivery"
    assert [one["label"] for one in several["predictions"]] == ["delivery", "payment"]
    delivery, _ = several["predictions"][0]["probabilities"].values()
    assert rows["predictions"][0][0] == pytest.approx(delivery, abs=1e-6)
    assert tensors["outputs"][0]["data"][0] == pytest.approx(delivery, abs=1e-6)
