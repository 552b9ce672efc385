"""Keeps a program running beside the workers: started again whenever it ends, and let go at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fairlead.app.supervision.policy import restart_delay

__all__ = ["Keeper", "Program", "when_alone"]

_WELL_AFTER_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is kept running.

    Attributes:
        name: for the log: "the recorder".
        module: what this Python runs.
        assignment: the first line that it is told. The line to it ends when it is to leave.
        descriptors: that it inherits.
        meanwhile: what holds while it is gone, for the log.
        leave_s: how long it may take to leave.
        has_last_run: one that is not running when all is over is started once more, for what is left to do.
    """

    name: str
    module: str
    assignment: bytes
    descriptors: tuple[int, ...]
    meanwhile: str
    leave_s: float
    has_last_run: bool = False


class Keeper:
    """Starts a program, and again whenever it ends. Everything happens in the event loop that runs.

    Args:
        program: which.
        on_end: called when it ended unasked.
    """

    def __init__(self, program: Program, on_end: Callable[[], None] = lambda: None) -> None:
        self._program = program
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._deaths = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._is_over = False
        self._started_at = time.monotonic()

    def start(self, after_s: float = 0.0) -> None:
        """Start it, at once or in a while."""
        if after_s > 0:
            self._retry = self._loop.call_later(after_s, self.start)
            return
        self._retry = None
        self._started_at = time.monotonic()
        try:
            self._line, self._process = _start(self._program)
        except OSError as error:
            self._again(f"cannot be started: {error}")
            return
        exit_ = os.pidfd_open(self._process.pid)
        self._loop.add_reader(exit_, self._reap, exit_)

    @property
    def is_waiting(self) -> bool:
        """Whether it has ended so often that it is left alone for a while."""
        return self._retry is not None and self._deaths > 1

    async def stop(self) -> None:
        """Let it do what is left, and wait until it is gone."""
        self._is_over = True
        if self._retry is not None:
            self._retry.cancel()
            if self._program.has_last_run:
                self.start()
        if self._line is not None:
            self._line.close()
        process = self._process
        if process is not None:
            try:
                await asyncio.wait_for(asyncio.to_thread(process.wait), self._program.leave_s)
            except TimeoutError:
                _log.error("%s does not end and is killed; %s", self._program.name, self._program.meanwhile)
                process.kill()
                process.wait()

    def _reap(self, exit_: int) -> None:
        self._loop.remove_reader(exit_)
        os.close(exit_)
        if self._process is None or self._is_over:
            return
        status = self._process.wait()
        self._process = None
        if self._line is not None:
            self._line.close()
        self._on_end()
        self._again(f"ended with status {status}")

    def _again(self, why: str) -> None:
        self._deaths = 1 if time.monotonic() - self._started_at > _WELL_AFTER_S else self._deaths + 1
        delay = restart_delay(self._deaths)
        _log.error("%s %s; %s; it is started again in %g s", self._program.name, why, self._program.meanwhile, delay)
        self._retry = self._loop.call_later(delay, self.start)


async def when_alone(reader: asyncio.StreamReader, leave: Callable[[], None]) -> None:
    """At the program's end of the line: call `leave` when the parent ends it or is gone."""
    await reader.read()
    leave()


def _start(program: Program) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The parent's end of the line, and the process, which has been told its assignment."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own command
            _command(program.module, theirs.fileno()),
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *program.descriptors),
            process_group=0,
        )
    ours.sendall(program.assignment)
    return ours, process


def _command(module: str, line: int) -> Sequence[str]:
    return (sys.executable, "-m", module, str(line))
