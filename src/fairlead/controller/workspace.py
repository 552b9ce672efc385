"""A directory for work in progress, cleared away however the work ends."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.store.files import exclusive

__all__ = ["workspace"]


@contextlib.contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """An empty directory under `root` for as long as the context lasts.

    Its owner holds a lock beside it, which the kernel lets go of when the owner is killed: whoever comes next removes
    the directories that nobody holds any more.
    """
    root.mkdir(parents=True, exist_ok=True)
    for lock in root.glob("*.lock"):
        _remove_abandoned(lock)
    directory = Path(tempfile.mkdtemp(dir=root))
    lock = directory.with_suffix(".lock")
    with exclusive(lock):
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _remove_abandoned(lock: Path) -> None:
    try:
        with exclusive(lock, timeout_s=0):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
    except FairleadError as error:
        if error.code is not Code.ABORTED:  # somebody is at work in there
            raise
