"""Programs that tests start, Prometheus's own among them, where they are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest


def program(name: str) -> str:
    """Where the program is. Where it is not, the test is skipped, and in CI it fails."""
    path = shutil.which(name)
    if path is None:
        fail_or_skip: Callable[[str], None] = pytest.fail if os.environ.get("CI") else pytest.skip
        fail_or_skip(f"{name} is not installed: tools/install_test_packages.sh")
    return str(path)


def complaints(page: str) -> str:
    """What promtool finds wrong with a page of metrics."""
    done = subprocess.run(
        [program("promtool"), "check", "metrics"], input=page, text=True, capture_output=True, timeout=30, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""
