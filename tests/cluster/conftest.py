"""A Ray cluster of several nodes on this machine, and commands that work on it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = Path(__file__).parent / "cluster_process.py"


@dataclass(frozen=True)
class Cluster:
    """A running cluster: a head that computes nothing, and nodes of one CPU."""

    process: subprocess.Popen[str]
    client: str
    environment: dict[str, str]

    def tell(self, words: str) -> list[int]:
        """Say a line to it; the processes of its nodes then."""
        assert self.process.stdin
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        nodes: list[int] = self.answer()["nodes"]
        return nodes

    def answer(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self.process.stdout
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def start(self, *words: object) -> subprocess.Popen[str]:
        """A `fairlead` command that has begun."""
        return subprocess.Popen(
            [sys.executable, "-m", "fairlead.cli.main", *map(str, words)],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """A `fairlead` command to its end."""
        with self.start(*words) as process:
            said, erred = process.communicate(timeout=120)
        return subprocess.CompletedProcess([*map(str, words)], process.returncode, said, erred)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One cluster with two nodes for all tests, reached on loopback alone and by who has its token."""
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # short: sockets' paths have to be
        token = Path(folder) / "token"
        token.write_text(secrets.token_hex(32))
        environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # by which Ray keeps to loopback
            "RAY_TMPDIR": folder,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_failure_threshold": "3",
        }
        with subprocess.Popen(
            [sys.executable, str(_PROGRAM)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                said = json.loads(process.stdout.readline() if process.stdout else "")
                running = Cluster(process, said["client"], environment | {"RAY_ADDRESS": said["address"]})
                running.tell("add")
                running.tell("add")
                yield running
            finally:
                assert process.stdin
                process.stdin.close()
                process.wait(60)
