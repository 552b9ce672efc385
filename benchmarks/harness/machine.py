"""What the figures were measured on, in words."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

__all__ = ["describe", "versions"]


def describe() -> dict[str, str]:
    """CPU, system, date and the versions of what measures."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "onnxruntime": metadata.version("onnxruntime"),
        "wrk": _first(["wrk", "--version"], r"wrk \S*?([\d.]+\d)"),
        "h2load": _first(["h2load", "--version"], r"nghttp2/([\d.]+)"),
    }


def versions(bin_folder: Path, packages: Sequence[str]) -> dict[str, str]:
    """The installed versions in an environment."""
    program = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    python = bin_folder / Path(sys.executable).name
    said = subprocess.run([python, "-c", program, *packages], capture_output=True, text=True, check=True).stdout
    return dict(zip(packages, said.split(), strict=True))


def _cpu() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _first(command: list[str], pattern: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "unknown"
