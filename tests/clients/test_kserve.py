"""`kserve`'s clients, in a process of their own: one test for each check in `kserve_checks`."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Server

SCRIPT = Path(__file__).with_name("kserve_checks.py")
CHECKS = [
    node.name
    for node in ast.parse(SCRIPT.read_text()).body
    if isinstance(node, ast.AsyncFunctionDef) and node.name.startswith("check_")
]


@pytest.fixture(scope="module")
def verdicts(server: Server) -> dict[str, str]:
    """By check, what is wrong: nothing, or where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.clients.{SCRIPT.stem}", str(server.port), str(server.grpc_port)],
        cwd=SCRIPT.parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("check", CHECKS)
def test_kserve(verdicts: dict[str, str], check: str) -> None:
    """The check's own sentence says what is promised."""
    assert not verdicts[check], verdicts[check]
