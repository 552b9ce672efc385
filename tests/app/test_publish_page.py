"""What `docs/publish.md` shows works as it stands."""

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

PAGE = (Path(__file__).parents[2] / "docs" / "publish.md").read_text()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where the page's programs, run one after the other, have published."""
    program = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "FAIRLEAD_HOME": str(home)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (shown,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert done.stdout.startswith(shown)
    return home


def test_each_program_publishes_what_each_request_then_finds(home: Path, start_server: StartServer) -> None:
    """The programs print what the page says, and the requests under them are answered."""
    server = start_server(home / "store")
    server.wait_ready()
    bodies = [shlex.split(line) for line in re.findall(r"^    curl (.*)$", PAGE, re.MULTILINE)]
    found = {}
    for _, _, body, url in bodies:
        status, answer = server.call("POST", url.partition(":8501")[2], body.encode())
        assert status == 200, answer
        found[answer["model"]] = answer

    assert sorted(found) == ["iris", "mail", "rent"]
    assert found["iris"]["predictions"][0]["label"] == "setosa"
    assert found["mail"]["label"] == "spam"
    assert 500 < found["rent"]["outputs"]["prediction"][0] < 900
