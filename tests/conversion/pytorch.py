"""Runs programs with PyTorch: this environment's if it has one, else Debian's, whose build is for CPUs alone.

The wheels of PyTorch for Linux bring gigabytes of CUDA. Debian's is older, and asks less of the environment around it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["run_with_torch"]

DEBIAN = Path("/usr/lib/python3/dist-packages")


def run_with_torch(program: Path, *arguments: str) -> str:
    """What the program prints; the test is skipped, and fails in CI, where there is no PyTorch for this Python."""
    own = importlib.util.find_spec("torch") is not None
    version = f"cpython-{sys.version_info.major}{sys.version_info.minor}-"
    if not own and not any(version in path.name for path in DEBIAN.glob("torch/_C.*")):
        reason = "there is no PyTorch for this Python: apt-get install python3-torch, or pip install torch"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(program), "" if own else str(DEBIAN), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
