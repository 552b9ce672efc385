"""Fairlead as it would be if it counted nothing: the present sources, with methods that return at once.

Compiled where the present one is. It is for comparison and nothing else.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.harness.fairlead import SOURCES
from benchmarks.harness.process import ROOT

__all__ = ["unmetered"]

_SILENT = {
    "telemetry/instruments.py": {
        "CounterSeries": {"inc", "set"},
        "GaugeSeries": {"inc", "set"},
        "HistogramSeries": {"observe", "observe_all"},
    },
    "telemetry/batches.py": {"BatchMetrics": {"ran", "waits", "nonfinite", "expired", "cancelled"}},
    "serving/statistics.py": {"Statistics": {"ran"}},
    "transport/metrics.py": {"TransportMetrics": {"record", "refused"}},
}
_BUILT_FROM = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE")


def unmetered(folder: Path) -> str:
    """Put it into `folder`; what a `PYTHONPATH` names to run it. Where it is compiled, that takes minutes."""
    tree = folder / "tree"
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for file, classes in _SILENT.items():
        path = tree / "src" / "fairlead" / file
        path.write_text(_silenced(path.read_text(), classes))
    if not any(Path(SOURCES).glob("fairlead/**/*.so")):
        return str(tree / "src")
    shutil.copytree(ROOT / "examples", tree / "examples")
    for name in _BUILT_FROM:
        shutil.copy(ROOT / name, tree)
    wheels = folder / "wheels"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels], cwd=tree, check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*install, f"--target={folder / 'compiled'}", *wheels.glob("*.whl")], check=True)
    return str(folder / "compiled")


def _silenced(source: str, classes: Mapping[str, set[str]]) -> str:
    """The source with these methods empty; the rest of it as it stands, with what comments tell the compiler."""
    lines = source.splitlines()
    for item in reversed(ast.parse(source).body):
        if not isinstance(item, ast.ClassDef) or item.name not in classes:
            continue
        methods = {method.name: method for method in item.body if isinstance(method, ast.FunctionDef)}
        for method in sorted((methods[name] for name in classes[item.name]), key=lambda one: one.lineno, reverse=True):
            begin, end = method.body[0].lineno - 1, method.end_lineno
            lines[begin:end] = [" " * method.body[0].col_offset + "pass"]
    return "\n".join([*lines, ""])
