"""Where the spools of one machine are: a directory for each server, which no two servers share."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.errors import Code, FairleadError

__all__ = ["Claim", "abandoned", "claim", "spools"]

_LOCK = "lock"
_NAME = "name"
_MOST_SERVERS = 1000


class Claim:
    """A server's directory: its own for as long as this process, or one that inherited the lock, lives.

    Whoever writes there or ships from there inherits the lock: workers outlive a server that was killed by what they
    still have to answer, and nobody may take their files for ended meanwhile.

    Attributes:
        directory: holds a spool for each place where a worker may be.
        name: of no other directory on any host.
        lock: the descriptor to inherit.
    """

    def __init__(self, directory: Path, lock: int) -> None:
        self.directory = directory
        self.lock = lock
        path = directory / _NAME
        if not path.exists():
            path.with_suffix(".new").write_text(secrets.token_hex(16))
            path.with_suffix(".new").rename(path)
        self.name = path.read_text()

    def close(self) -> None:
        """Let the next server have it."""
        os.close(self.lock)


def spools(name: str, directory: Path) -> dict[str, Path]:
    """Every spool in a claimed directory, one for each place where a worker was, by a name that no other has."""
    numbers = sorted(int(path.name) for path in directory.iterdir() if path.name.isdigit())
    return {f"{name}-{number}": directory / str(number) for number in numbers}


def claim(root: Path) -> Claim:
    """The first directory under `root` that no server has.

    Raises:
        FairleadError: FAILED_PRECONDITION when it cannot be made.
    """
    try:
        for number in range(_MOST_SERVERS):
            directory = root / str(number)
            directory.mkdir(parents=True, exist_ok=True)
            lock = _locked(directory)
            if lock is not None:
                return Claim(directory, lock)
    except OSError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"predictions cannot be logged under {root}: {error.strerror}",
            hint="--prediction-log off serves without a log",
        ) from error
    raise FairleadError(Code.RESOURCE_EXHAUSTED, f"{_MOST_SERVERS} servers log under {root} already")


def abandoned(root: Path) -> Iterator[Claim]:
    """The directories whose server is gone, each claimed until the next is asked for."""
    for directory in sorted(root.iterdir()):
        if directory.name.isdigit() and (directory / _NAME).exists():
            with _claimed(directory) as found:
                if found is not None:
                    yield found


@contextmanager
def _claimed(directory: Path) -> Iterator[Claim | None]:
    lock = _locked(directory)
    if lock is None:
        yield None
        return
    try:
        yield Claim(directory, lock)
    finally:
        os.close(lock)


def _locked(directory: Path) -> int | None:
    """A descriptor that holds the directory's lock; None when another process does."""
    lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
