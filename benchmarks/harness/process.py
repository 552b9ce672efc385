"""A server in processes of its own, on a core of its own: started, watched, and ended with all its children."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

__all__ = [
    "LOAD_CORE",
    "SERVER_CORE",
    "ServerProcess",
    "StartError",
    "Usage",
    "allow_many_connections",
    "free_port",
    "running",
]

SERVER_CORE, LOAD_CORE = 0, 1
ROOT = Path(__file__).parents[2]
_POLL_S = 0.005
_START_S = 120.0
_STOP_S = 40.0


class StartError(Exception):
    """A server that does not come up; the message is the last thing it said."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a server's processes hold together."""

    resident_mb: float
    descriptors: int
    threads: int
    processes: int


class ServerProcess:
    """One running server."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._log = log
        self.started_s = 0.0
        """Seconds from exec until it was ready."""

    @property
    def pid(self) -> int:
        return self._process.pid

    def family(self) -> list[psutil.Process]:
        """The server's first process and all that descend from it."""
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]

    def usage(self) -> Usage:
        """Memory (10^6 bytes), file descriptors and threads of all its processes, now."""
        resident = descriptors = threads = processes = 0
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
                resident += process.memory_info().rss
                descriptors += process.num_fds()
                threads += process.num_threads()
                processes += 1
        return Usage(resident_mb=resident / 1e6, descriptors=descriptors, threads=threads, processes=processes)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the first process."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL for those of its processes that are still there when it has gone."""
        try:
            family = self.family()
        except psutil.NoSuchProcess:
            family = []
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def wait_until(self, is_ready: Callable[[], bool], began: float) -> None:
        """Return when `is_ready` says so.

        Raises:
            StartError: when the server ends first, or takes more than two minutes.
        """
        while not is_ready():
            if self._process.poll() is not None:
                raise StartError(f"ended with status {self._process.returncode}: {self._last_words()}")
            if time.perf_counter() - began > _START_S:
                raise StartError(f"not ready after {_START_S:.0f} s: {self._last_words()}")
            time.sleep(_POLL_S)
        self.started_s = time.perf_counter() - began

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode(errors="replace").splitlines() if line.strip()]
        return " / ".join(line[:300] for line in lines[-3:]) or "nothing was said"


@contextlib.contextmanager
def running(
    command: Sequence[str],
    is_ready: Callable[[], bool],
    *,
    environment: Mapping[str, str] | None = None,
    core: int | None = SERVER_CORE,
) -> Iterator[ServerProcess]:
    """Run `command` until the block ends; it starts once `is_ready`.

    Args:
        command: and its arguments.
        is_ready: asked every 5 ms.
        environment: what it sees beside the present one.
        core: that all its processes are pinned to; None for any.

    Raises:
        StartError: when it does not become ready.
    """
    pinned = command if core is None else ["taskset", "--cpu-list", str(core), *command]
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            pinned,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        server = ServerProcess(process, log)
        try:
            server.wait_until(is_ready, began)
            yield server
        finally:
            server.stop()


def leave_server_core() -> None:
    """Move this process and what it starts to the load's core, where there is one."""
    if LOAD_CORE in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {LOAD_CORE})


def allow_many_connections() -> None:
    """Raise this process's limit of open files, and that of what it starts, as far as it goes."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """A port that was free a moment ago, below those that the system gives to clients: none of them takes it now."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.randrange(20_000, 32_000)  # noqa: S311 - no secret
            probe.bind(("127.0.0.1", port))
            return port
