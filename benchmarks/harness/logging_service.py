"""A Fairlead that logs what it predicts, and what the log costs it."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Self

import psutil

from benchmarks.harness.fairlead import Service
from benchmarks.harness.log_counts import LogCounts
from benchmarks.harness.process import free_port

__all__ = ["LoggingService"]

_RECORDER = "fairlead.app.recorder"
_SHIPPED_S = 60.0
_LOOK_S = 0.5


class LoggingService(contextlib.AbstractContextManager["LoggingService"]):
    """A Fairlead with a log, or without one.

    Args:
        store: what it serves.
        home: where its spools are, and its SQLite.
        url: of its database; None for no log.
        flags: more of `fairlead serve`.
    """

    def __init__(self, store: Path, home: Path, url: str | None, *flags: str) -> None:
        self._management_port = free_port()
        log = ["--prediction-log=off"] if url is None else ["--prediction-log=on", f"--database-url={url}"]
        self._service = Service(store, f"--home={home}", f"--management-port={self._management_port}", *log, *flags)

    def __enter__(self) -> Self:
        self._service.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._service.__exit__(None, None, None)

    @property
    def port(self) -> int:
        return self._service.port

    def counts(self) -> LogCounts:
        """What its metrics say of its log."""
        return LogCounts.of(self._management_port)

    def pin_recorder(self, core: int) -> None:
        """Let the recorder run on `core`, and nowhere else."""
        for process in self.recorders():
            for thread in process.threads():
                os.sched_setaffinity(thread.id, {core})

    def recorders(self) -> list[psutil.Process]:
        """The recorder's process; none while it is being started again."""
        return [process for process in self._service.process.family() if _is_recorder(process)]

    def cpu_s(self) -> tuple[float, float]:
        """Seconds of a core that the server, and that its recorder has used so far."""
        used = {True: 0.0, False: 0.0}
        for process in self._service.process.family():
            times = process.cpu_times()
            used[_is_recorder(process)] += times.user + times.system
        return used[False], used[True]

    def wait_until_shipped(self) -> None:
        """Return when the database has all that was written down.

        Raises:
            TimeoutError: after a minute.
        """
        deadline = time.monotonic() + _SHIPPED_S
        before = -1
        while (found := self.counts()).backlog_bytes or found.shipped_rows != before:
            before = found.shipped_rows
            if time.monotonic() > deadline:
                raise TimeoutError(f"{found.backlog_bytes:,} bytes still wait for the database")
            time.sleep(_LOOK_S)


def _is_recorder(process: psutil.Process) -> bool:
    try:
        return _RECORDER in process.cmdline()
    except psutil.NoSuchProcess:
        return False
