"""The recorder as the rest sees it: the parent that keeps it running, and the workers that hand it labels."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead.app.keeper import Keeper, Program
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.spool_home import Claim

__all__ = ["MAX_LINE_BYTES", "RecorderAssignment", "RecorderClient", "keep_recorder"]

MAX_LINE_BYTES = 64 << 20
_SOCKET = "recorder.sock"
_ANSWER_S = 15.0
_LEAVE_S = 15.0


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


def keep_recorder(
    settings: Settings, claim: Claim, memory: int, regions: int, *, on_end: Callable[[int], None]
) -> Keeper:
    """What keeps the recorder running; it is not started yet.

    Args:
        settings: for the recorder.
        claim: the spools. The socket where workers ask stays open as long as this process.
        memory: the descriptor of the memory that all processes count in.
        regions: how many regions it has; the last is the recorder's.
        on_end: told which region's counts may be cleared, when it ended unasked.
    """
    listener = _listen(claim.directory)
    region = regions - 1
    assignment = RecorderAssignment(
        settings=settings,
        directory=claim.directory,
        name=claim.name,
        memory=memory,
        regions=regions,
        region=region,
        listener=listener,
    )
    program = Program(
        name="the recorder",
        module="fairlead.app.recorder",
        assignment=assignment.line(),
        descriptors=(memory, listener, claim.lock),
        meanwhile="predictions wait in the spool",
        leave_s=_LEAVE_S,
        has_last_run=True,
    )
    return Keeper(program, lambda: on_end(region))


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


def _listen(directory: Path) -> int:
    """The descriptor of the socket where the recorder answers."""
    (directory / _SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(_path(descriptor))
    finally:
        os.close(descriptor)
    (directory / _SOCKET).chmod(0o600)
    listener.listen()
    return listener.detach()
