"""A virtual environment for each peer under `.bench/`, made once from its pinned requirements with nothing but pip.

usage: python -m benchmarks.harness.environments PEER
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["InstallError", "environment"]

ROOT = Path(__file__).parents[2]
_INSTALL_S = 1800


class InstallError(Exception):
    """An environment that cannot be made; the message is pip's last line."""


def environment(peer: str) -> Path:
    """The folder of the peer's programs, `.bench/PEER/bin`; made now unless it was made from the same requirements.

    Raises:
        InstallError: when pip fails.
    """
    requirements = ROOT / "benchmarks" / "peers" / peer / "requirements.txt"
    folder = ROOT / ".bench" / peer
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_bytes() != requirements.read_bytes():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "--no-deps", "--requirement", str(requirements)])
        installed.write_bytes(requirements.read_bytes())
    return folder / "bin"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_S, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise InstallError(lines[-1] if lines else f"{command[0]} ended with status {done.returncode}")


if __name__ == "__main__":
    try:
        print(environment(sys.argv[1]))
    except InstallError as error:
        sys.exit(str(error))
