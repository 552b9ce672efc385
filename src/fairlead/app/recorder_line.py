"""The recorder as the rest sees it: the parent that keeps it running, and the workers that hand it labels."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.app.supervision.policy import restart_delay
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.spool_home import Claim

__all__ = ["MAX_LINE_BYTES", "RecorderAssignment", "RecorderClient", "RecorderKeeper"]

MAX_LINE_BYTES = 64 << 20
_SOCKET = "recorder.sock"
_ANSWER_S = 15.0
_WELL_AFTER_S = 10.0
_LEAVE_S = 15.0
_COMMAND = (sys.executable, "-m", "fairlead.app.recorder")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderAssignment:
    """What the recorder is told by its parent.

    Attributes:
        settings: those of the parent.
        directory, name: of the claimed spools.
        memory, regions, region: see `Assignment`.
        listener: the descriptor of the socket where workers ask.
    """

    settings: Settings
    directory: Path
    name: str
    memory: int
    regions: int
    region: int
    listener: int

    def line(self) -> bytes:
        """The assignment as it is sent."""
        rest = {field: getattr(self, field) for field in ("name", "memory", "regions", "region", "listener")}
        told = {"settings": self.settings.texts(), "directory": str(self.directory), **rest}
        return json.dumps(told).encode() + b"\n"

    @staticmethod
    def parse(line: bytes) -> RecorderAssignment:
        """What was sent."""
        told = json.loads(line)
        settings = Settings.read({}, **told.pop("settings"))
        return RecorderAssignment(settings=settings, directory=Path(told.pop("directory")), **told)


class RecorderKeeper:
    """Starts the recorder, and again whenever it ends. Everything happens in the event loop that runs.

    Args:
        settings: for the recorder.
        claim: the spools.
        memory: the descriptor of the memory that all processes count in.
        regions: how many regions it has; the last is the recorder's.
        on_end: told when it ended unasked: its counts may be cleared.
    """

    def __init__(
        self, settings: Settings, claim: Claim, memory: int, regions: int, *, on_end: Callable[[int], None]
    ) -> None:
        self._settings = settings
        self._claim = claim
        self._memory = memory
        self._regions = regions
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._listener = _listen(claim.directory)
        self._deaths = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._is_over = False
        self._started_at = time.monotonic()

    def start(self) -> None:
        """Start it."""
        self._retry = None
        self._started_at = time.monotonic()
        assignment = RecorderAssignment(
            settings=self._settings,
            directory=self._claim.directory,
            name=self._claim.name,
            memory=self._memory,
            regions=self._regions,
            region=self._regions - 1,
            listener=self._listener.fileno(),
        )
        try:
            self._line, self._process = _start((self._memory, self._listener.fileno()), assignment.line())
        except OSError as error:
            self._again(f"cannot be started: {error}")
            return
        exit_ = os.pidfd_open(self._process.pid)
        self._loop.add_reader(exit_, self._reap, exit_)

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return self._process.pid if self._process else None

    async def stop(self) -> None:
        """Let it ship what is left, and wait until it is gone."""
        self._is_over = True
        if self._retry is not None:  # it had ended: one more, for what the workers have left
            self._retry.cancel()
            self.start()
        if self._line is not None:
            self._line.close()
        process = self._process
        if process is not None:
            try:
                await asyncio.wait_for(asyncio.to_thread(process.wait), _LEAVE_S)
            except TimeoutError:
                _log.error("the recorder does not end and is killed; what it did not ship waits in the spool")
                process.kill()
                process.wait()
        self._listener.close()

    def _reap(self, exit_: int) -> None:
        self._loop.remove_reader(exit_)
        os.close(exit_)
        if self._process is None or self._is_over:
            return
        status = self._process.wait()
        self._process = None
        if self._line is not None:
            self._line.close()
        self._on_end(self._regions - 1)
        self._again(f"ended with status {status}")

    def _again(self, why: str) -> None:
        self._deaths = 1 if time.monotonic() - self._started_at > _WELL_AFTER_S else self._deaths + 1
        delay = restart_delay(self._deaths)
        _log.error("the recorder %s; predictions wait in the spool; it is started again in %g s", why, delay)
        self._retry = self._loop.call_later(delay, self.start)


class RecorderClient:
    """Asks the recorder, and hands it labels.

    Args:
        directory: the claimed directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    async def give(self, labels: Sequence[tuple[Any, Any]], *, source: str, model: str | None) -> list[dict[str, str]]:
        """Take labels in; what `Feedback.give` says of each.

        Raises:
            FairleadError: as `Feedback.give`; UNAVAILABLE also when the recorder does not answer.
        """
        asked = {"labels": labels, "source": source, "model": model}
        taken: list[dict[str, str]] = await self._answer(asked, "labels cannot be taken in just now")
        return taken

    async def quality(self, model: str) -> list[dict[str, Any]]:
        """How good each version and arm of the model was in the last day, as `app.quality` tells it.

        Raises:
            FairleadError: UNAVAILABLE when the recorder or its database does not answer.
        """
        found: list[dict[str, Any]] = await self._answer({"quality": model}, "the quality cannot be told just now")
        return found

    async def _answer(self, asked: dict[str, Any], excuse: str) -> Any:
        try:
            async with asyncio.timeout(_ANSWER_S):
                told = await self._ask(json.dumps(asked).encode() + b"\n")
        except (OSError, TimeoutError, ValueError) as error:
            raise FairleadError(Code.UNAVAILABLE, excuse, hint="try again: asking twice is harmless") from error
        if "error" in told:
            refusal = told["error"]
            raise FairleadError(Code(refusal["code"]), refusal["message"], hint=refusal["hint"])
        return told["answer"]

    async def _ask(self, line: bytes) -> Any:
        reader, writer = await asyncio.open_unix_connection(_path(self._directory), limit=MAX_LINE_BYTES)
        try:
            writer.write(line)
            await writer.drain()
            return json.loads(await reader.readline())
        finally:
            writer.close()


def _path(directory: int) -> str:
    """The socket's, short enough whatever the directory's: a socket's path has 107 bytes at most."""
    return f"/proc/self/fd/{directory}/{_SOCKET}"


def _listen(directory: Path) -> socket.socket:
    (directory / _SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(_path(descriptor))
    finally:
        os.close(descriptor)
    (directory / _SOCKET).chmod(0o600)
    listener.listen()
    return listener


def _start(inherited: Sequence[int], line: bytes) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """The parent's end of the line, and the process, which has been told `line`."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*_COMMAND, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *inherited),
            process_group=0,
        )
    ours.sendall(line)
    return ours, process
