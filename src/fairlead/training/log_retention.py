"""How long TensorBoard's logs of training runs are kept."""

from __future__ import annotations

import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["delete_training_logs"]


def delete_training_logs(root: Path, *, keep: timedelta, now: datetime) -> tuple[str, ...]:
    """Delete the runs that nothing was written to for so long, and return their names.

    A run that goes on writes, so it is kept. A link is neither followed nor deleted.

    Args:
        root: holds one directory a run.
        keep: how long a run is kept after its last file was written.
        now: the time.
    """
    if not root.is_dir():
        return ()
    runs = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.is_symlink())
    old = [run for run in runs if now - _written_at(run) > keep]
    for run in old:
        shutil.rmtree(run, ignore_errors=True)  # somebody else may delete it as well; what is left goes next time
    return tuple(run.name for run in old)


def _written_at(run: Path) -> datetime:
    newest = run.lstat().st_mtime
    for path in run.rglob("*"):
        with suppress(FileNotFoundError):  # whoever writes the run may also take files away
            newest = max(newest, path.lstat().st_mtime)
    return datetime.fromtimestamp(newest, UTC)
