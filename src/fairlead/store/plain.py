"""Plain trees, as TensorFlow Serving and Triton read them: numbered directories with nothing but a model in them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fairlead.servable.identity import MAX_VERSION

__all__ = ["QuietVersions", "plain_versions", "runtime_of"]

_RUNTIMES = {"saved_model.pb": "tensorflow", "saved_model.pbtxt": "tensorflow", "model.onnx": "onnx"}
"""By the file that makes a directory a model; the first that is there counts."""


def plain_versions(base: Path) -> dict[int, Path]:
    """The directories under `base` that hold a model and have a number for a name, leading zeros or not.

    Raises:
        OSError: when `base` cannot be read.
    """
    found: dict[int, Path] = {}
    for path in sorted(base.iterdir()):
        name = path.name
        if name.isascii() and name.isdigit() and int(name) <= MAX_VERSION and runtime_of(path):
            found.setdefault(int(name), path)
    return found


def runtime_of(directory: Path) -> str | None:
    """The runtime that reads the model in `directory`; None when there is none."""
    return next((runtime for name, runtime in _RUNTIMES.items() if (directory / name).exists()), None)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What a directory looked like, and since when on the monotonic clock."""

    files: frozenset[tuple[str, int, int]]
    since: float


class QuietVersions:
    """Leaves a version alone until nobody writes to it any more: a plain directory has no other mark of being whole.

    Args:
        quiet_period_s: how long its files must not have changed.
        monotonic: measures the period while this process looks.
        wall: tells which files were old when they were first seen; those need not be waited for.
    """

    def __init__(
        self,
        quiet_period_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._quiet_period_s = quiet_period_s
        self._monotonic = monotonic
        self._wall = wall
        self._quiet: set[Path] = set()
        self._sights: dict[Path, _Sight] = {}

    def read(self, base: Path) -> dict[int, Path]:
        """The versions under `base` that have come to rest. Those that once have stay until they are gone.

        Raises:
            OSError: when `base` cannot be read.
        """
        versions = plain_versions(base)
        found = set(versions.values())
        for path in [path for path in {*self._quiet, *self._sights} if path.parent == base and path not in found]:
            self._quiet.discard(path)
            self._sights.pop(path, None)
        return {number: path for number, path in versions.items() if self._is_quiet(path)}

    def _is_quiet(self, path: Path) -> bool:
        if path in self._quiet:
            return True
        files, newest = _look(path)
        sight = self._sights.get(path)
        if sight is None or sight.files != files:
            sight = self._sights[path] = _Sight(files, self._monotonic())
        age = max(self._monotonic() - sight.since, self._wall() - newest)
        if age < self._quiet_period_s:
            return False
        del self._sights[path]
        self._quiet.add(path)
        return True


def _look(directory: Path) -> tuple[frozenset[tuple[str, int, int]], float]:
    """Every file's name, size and time of change under `directory`, and the newest of the times in seconds.

    The time of change and not of modification: a copy may bring the latter along from the original.
    """
    files = set()
    newest = 0
    for folder, _, names in os.walk(directory):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            changed = max(status.st_mtime_ns, status.st_ctime_ns)
            files.add((str(path), status.st_size, changed))
            newest = max(newest, changed)
    return frozenset(files), newest / 1e9
