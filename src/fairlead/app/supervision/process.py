"""One worker as the parent sees it: a child process and the line to it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from fairlead.app.supervision.control import Assignment, Failure, Order, Report, parse_word
from fairlead.app.supervision.policy import View
from fairlead.app.supervision.state import State, WorkerState
from fairlead.serving.status import Readiness

__all__ = ["WorkerProcess"]

COMMAND = (sys.executable, "-m", "fairlead.app.worker")

_SILENCE_S = 30
_SILENCE_AT_START_S = 120
_GRACE_S = 5.0
_CHUNK_BYTES = 65536
_log = logging.getLogger(__name__)


class WorkerProcess:
    """A worker that was just started. Everything about it happens in the event loop that runs.

    Args:
        number: tells it from the others.
        seat: the place that it fills.
        generation: counts the wishes for new workers.
        assignment: what it serves; it inherits the descriptors named there.
        restarts: how many were in its seat before it.
        drain_timeout_s: how long it may take to leave; it is killed a little later.
        on_change: called after everything that it says, and when it is gone.

    Attributes:
        region: where it counts.
        report: the last it said; None before the first word.
        failure: why it gave up, if it said so.
        status: its exit status, negative for a signal; None while it lives.
        is_accepting: it has been told to take connections.
        since: when it was started.
        started_at: the same, as the second of `time.monotonic`.
    """

    def __init__(
        self,
        number: int,
        seat: int,
        generation: int,
        assignment: Assignment,
        *,
        restarts: int,
        drain_timeout_s: float,
        on_change: Callable[[WorkerProcess], None],
    ) -> None:
        self.number = number
        self.seat = seat
        self.generation = generation
        self.region = assignment.region
        self.report: Report | None = None
        self.failure: Failure | None = None
        self.status: int | None = None
        self.is_accepting = False
        self.started_at = time.monotonic()
        self.since = datetime.now(UTC)
        self._restarts = restarts
        self._drain_timeout_s = drain_timeout_s
        self._on_change = on_change
        self._is_draining = False
        self._silent_s = 0
        self._unread = b""
        self._loop = asyncio.get_running_loop()
        self._line, self._process = _start(assignment.descriptors)
        self._exit = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._line, self._read)
        self._loop.add_reader(self._exit, self._reap)
        self._send(assignment.line())

    def __str__(self) -> str:
        return f"worker {self.seat + 1} (pid {self.pid})"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_leaving(self) -> bool:
        return self._is_draining or (self.report is not None and self.report.is_leaving)

    @property
    def is_ready(self) -> bool:
        return self.report is not None and self.report.readiness.is_ready

    def state(self) -> WorkerState:
        """How it is."""
        readiness = self.report.readiness if self.report else None
        return WorkerState(
            worker=self.seat + 1,
            pid=self.pid,
            state=self._stage(readiness),
            is_started=readiness is not None and readiness.is_started,
            since=self.since,
            restarts=self._restarts,
            why=(*readiness.missing, *readiness.degraded) if readiness else (),
        )

    def _stage(self, readiness: Readiness | None) -> State:
        if self.is_leaving:
            return State.DRAINING
        if readiness is None:
            return State.STARTING
        if not readiness.is_started:
            return State.LOADING
        return State.READY if readiness.is_ready and self.is_accepting else State.DEGRADED

    def view(self, generation: int) -> View:
        """What the policy decides on, `generation` being the newest."""
        readiness = self.report.readiness if self.report else None
        return View(
            worker=self.number,
            seat=self.seat,
            is_current=self.generation == generation,
            is_accepting=self.is_accepting,
            is_leaving=self.is_leaving,
            is_started=readiness is not None and readiness.is_started,
            is_ready=self.is_ready,
            age_s=time.monotonic() - self.started_at,
        )

    def accept(self) -> None:
        """Let it take connections."""
        self.is_accepting = True
        self._send(Order.ACCEPT.line())

    def withdraw(self) -> None:
        """Let it no longer be ready."""
        self._send(Order.WITHDRAW.line())

    def drain(self) -> None:
        """Let it leave, and see to it that it does."""
        if not self._is_draining:
            self._is_draining = True
            self._send(Order.DRAIN.line())
            self._loop.call_later(self._drain_timeout_s + _GRACE_S, self.kill)

    def kill(self) -> None:
        """End it now, whatever it does."""
        if self.status is None:
            self._process.send_signal(signal.SIGKILL)

    def tick(self) -> None:
        """Count a second. A parent that was stopped itself did not count, and holds nothing against its workers."""
        self._silent_s += 1
        if self._silent_s == (_SILENCE_S if self.report else _SILENCE_AT_START_S):
            _log.error("%s has said nothing for %d s and is killed", self, self._silent_s)
            self.kill()

    def _send(self, line: bytes) -> None:
        try:
            self._line.send(line)
        except OSError:  # it is gone, or so stuck that its silence will be noticed
            _log.debug("%s does not listen", self)

    def _read(self) -> None:
        if self._receive():
            self._on_change(self)
        else:
            self._loop.remove_reader(self._line)

    def _receive(self) -> bool:
        """Take in what was said; False when nothing more will be."""
        try:
            chunk = self._line.recv(_CHUNK_BYTES)
        except OSError:
            return False
        self._silent_s = 0
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        for line in lines:
            word = parse_word(line)
            if isinstance(word, Failure):
                self.failure = word
            else:
                self._hear(word)
        return bool(chunk)

    def _hear(self, report: Report) -> None:
        self.report = report
        if report.is_leaving:  # told by somebody else than the parent
            self.drain()

    def _reap(self) -> None:
        self._loop.remove_reader(self._exit)
        os.close(self._exit)
        self.status = self._process.wait()
        while self._receive():
            pass
        self._loop.remove_reader(self._line)
        self._line.close()
        self._on_change(self)


def _start(inherited: Sequence[int]) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The parent's end of the line, and the process.

    It has a process group of its own: an interrupt typed at the terminal is for the parent to act on.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        descriptor = theirs.fileno()
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*COMMAND, str(descriptor)],
            stdin=subprocess.DEVNULL,
            pass_fds=(descriptor, *inherited),
            process_group=0,
        )
    return ours, process
