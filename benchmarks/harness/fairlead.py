"""`fairlead serve` for the reliability runs: on a port that stays the same over restarts."""

from __future__ import annotations

import contextlib
import http.client
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import fairlead
from benchmarks.harness.process import SERVER_CORE, ServerProcess, free_port, running

__all__ = ["SOURCES", "Service", "serve_command"]

SOURCES = str(Path(fairlead.__file__).parents[1])
"""Where this process found Fairlead: what it measures is the same one."""


def serve_command(python: str, store: str, port: str, grpc_port: str) -> list[str]:
    """The command line of a server with one worker and one thread, which listens where it is told and nowhere else.

    It logs neither predictions nor requests and has no console: no peer does. `benchmarks.prediction_log` and
    `benchmarks.instrumentation` measure what logging costs.
    """
    ports = [f"--rest-port={port}", f"--grpc-port={grpc_port}", "--management-port=0"]
    flags = ["--workers=1", "--threads=1", "--prediction-log=off", "--access-log=off", "--console=off"]
    return [python, "-m", "fairlead.cli.main", "serve", f"--store={store}", *ports, *flags]


_READY = 200


class Service(contextlib.AbstractContextManager["Service"]):
    """A Fairlead that runs while the block does.

    Args:
        store: what it serves.
        flags: of `fairlead serve`, beside one worker and one thread.
        core: that it is pinned to; None for any.
        sources: where its code is found.
        environment: what it sees beside that.
    """

    def __init__(
        self,
        store: Path,
        *flags: str,
        core: int | None = SERVER_CORE,
        sources: str = SOURCES,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.port, self.grpc_port = free_port(), free_port()
        command = serve_command(sys.executable, str(store), str(self.port), str(self.grpc_port))
        self._command = [*command, *flags]
        self._core = core
        self._environment = {"PYTHONPATH": sources, **(environment or {})}
        self._life = contextlib.ExitStack()
        self.process: ServerProcess

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._life.close()

    def restart(self) -> None:
        """SIGTERM, wait for its end, and start it again at the same port."""
        self._life.close()
        self._start()

    def health(self, path: str = "/health/ready", timeout_s: float = 10) -> int:
        """The status of a health page; 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _start(self) -> None:
        start = running(self._command, lambda: self.health() == _READY, environment=self._environment, core=self._core)
        self.process = self._life.enter_context(start)
