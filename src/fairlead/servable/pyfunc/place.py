"""A directory that is cleared away with its owner, however that ends."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["Place"]

_PREFIX: Final = "fairlead-model-"
_SETTLED_S: Final = 60.0
"""Since so long a directory is there, its owner has locked it."""


class Place:
    """An empty directory among the system's temporary ones, until it is closed or the process ends.

    Its owner holds a lock on it, which the kernel lets go of when the owner is killed: whoever makes the next one
    removes what nobody holds.

    Attributes:
        path: where it is.
    """

    def __init__(self) -> None:
        _sweep()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        held = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._clear = weakref.finalize(self, _remove, self.path, held)

    def close(self) -> None:
        """Remove it. It may be closed more than once."""
        self._clear()


def _remove(path: Path, held: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    os.close(held)


def _sweep() -> None:
    """Remove what owners have left that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, or somebody else was faster
            found = path.lstat()
            if found.st_uid == os.getuid() and time.time() - found.st_mtime > _SETTLED_S:
                held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(held)
