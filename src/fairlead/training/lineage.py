"""Where a model came from: code revision and library versions."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

__all__ = ["code_revision", "library_versions", "recipe_folder"]

_LIBRARIES = ("fairlead", "keras", "numpy", "onnx", "onnxruntime", "scikit-learn", "tensorflow", "tf2onnx")
_ALSO_KNOWN_AS = {"tensorflow": "tensorflow-cpu"}
_GIT_TIMEOUT_S = 10


def library_versions() -> Mapping[str, str]:
    """The version of Python and of each library that shapes a model, as far as it is installed."""
    found = {name: _version(name) or _version(_ALSO_KNOWN_AS.get(name, "")) for name in _LIBRARIES}
    return {"python": platform.python_version(), **{name: version for name, version in found.items() if version}}


def code_revision(folder: Path) -> str:
    """The revision of the code in `folder`.

    Returns:
        The git commit, with `-dirty` behind it when files of the checkout differ from it; outside a checkout (or
        without git) the version of Fairlead, as `fairlead-0.1.0`.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return f"fairlead-{_version('fairlead') or 'unknown'}"
    changes = _git(folder, "status", "--porcelain")
    return commit if changes == "" else f"{commit}-dirty"


def recipe_folder(recipe: object) -> Path:
    """The folder of the file that defines the recipe's class; the current folder when it has no file."""
    file = getattr(sys.modules.get(type(recipe).__module__), "__file__", None)
    return Path(file).parent if file else Path()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution) if distribution else None
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, or None when it fails. It takes no lock, so it disturbs no one who works in the checkout."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
