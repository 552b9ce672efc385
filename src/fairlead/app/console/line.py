"""The console as the parent sees it: a process that it keeps running, and hands requests to."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import httptools

from fairlead.app.console.door import open_door
from fairlead.app.keeper import Keeper, Program
from fairlead.app.user import user_name
from fairlead.config import Settings
from fairlead.console.users import FIRST_PASSWORD, Users
from fairlead.errors import Code, FairleadError
from fairlead.transport.message import Request, Response

__all__ = ["CONSOLE_PATH", "MAX_BODY_BYTES", "Console", "ConsoleAssignment", "console_note", "open_console"]

CONSOLE_PATH = "/console"
MAX_BODY_BYTES = 16 << 20
_MAX_ANSWER_BYTES = 32 << 20
_ANSWER_S = 20.0
_LEAVE_S = 5.0
_START_AFTER_S = 1.0
_CHUNK_BYTES = 1 << 16
_OURS = frozenset({b"connection", b"content-length", b"date", b"keep-alive", b"server", b"transfer-encoding"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleAssignment:
    """What the console is told by its parent.

    Attributes:
        settings: those of the parent.
        listener: the descriptor of the socket where it answers.
        rest, management: URLs of the parent's ports.
        key: the console's own credential for both.
        doors: descriptors by which it reaches the ports that have TLS: "rest" and "management".
    """

    settings: Settings
    listener: int
    rest: str
    management: str
    key: str
    doors: Mapping[str, int]

    def line(self) -> bytes:
        """The assignment as it is sent."""
        rest = {field: getattr(self, field) for field in ("listener", "rest", "management", "key", "doors")}
        return json.dumps({"settings": self.settings.texts(), **rest}).encode() + b"\n"

    @staticmethod
    def parse(line: bytes) -> ConsoleAssignment:
        """What was sent."""
        told = json.loads(line)
        return ConsoleAssignment(settings=Settings.read({}, **told.pop("settings")), **told)


def open_console(
    settings: Settings, *, rest: str, management: str, key: str, doors: Mapping[str, int]
) -> Console | None:
    """The console, if there is to be one; it starts a little later than the workers, which come first.

    Args:
        settings: those of the server.
        rest: the URL of its REST port.
        management: the URL of its management port.
        key: the console's own credential for both.
        doors: see `ConsoleAssignment`.

    Raises:
        FairleadError: FAILED_PRECONDITION when one was asked for and cannot be.
    """
    if not settings.has_console:
        return None
    if not settings.can_console:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            "there is to be a console, and its libraries are not installed",
            hint="pip install 'fairlead[control]'",
        )
    try:
        Users(settings.console_path).begin(user_name())
        return Console(settings, rest=rest, management=management, key=key, doors=doors)
    except (FairleadError, OSError) as error:
        if settings.console == "on":
            raise
        _log.warning("there is no console: %s", error)
        return None


class Console:
    """The console's process, and the way to it."""

    def __init__(self, settings: Settings, *, rest: str, management: str, key: str, doors: Mapping[str, int]) -> None:
        door, self._door = open_door(settings.home)
        listener = door.detach()
        assignment = ConsoleAssignment(
            settings=settings, listener=listener, rest=rest, management=management, key=key, doors=doors
        )
        self._keeper = Keeper(
            Program(
                name="the console",
                module="fairlead.app.console",
                assignment=assignment.line(),
                descriptors=(listener, *doors.values()),
                meanwhile="everything else goes on",
                leave_s=_LEAVE_S,
            )
        )
        self._keeper.start(_START_AFTER_S)

    async def stop(self) -> None:
        """End it."""
        await self._keeper.stop()

    async def forward(self, request: Request) -> Response:
        """The console's answer. It waits while the console starts.

        Raises:
            FairleadError: UNAVAILABLE when it is gone or takes too long.
        """
        if self._keeper.is_waiting:
            raise _unavailable("the console has ended and is started again in a moment")
        try:
            async with asyncio.timeout(_ANSWER_S):
                return await self._ask(request)
        except TimeoutError as error:
            raise _unavailable(f"the console has not answered within {_ANSWER_S:g} s") from error
        except (OSError, httptools.HttpParserError) as error:
            raise _unavailable("the console broke off its answer") from error

    async def _ask(self, request: Request) -> Response:
        reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{self._door}")
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        try:
            writer.write(_encoded(request))
            await writer.drain()
            while not answer.is_whole:
                chunk = await reader.read(_CHUNK_BYTES)
                if not chunk:
                    raise ConnectionError("the answer is not whole")
                parser.feed_data(chunk)
                if len(answer.body) > _MAX_ANSWER_BYTES:
                    raise ConnectionError("the answer is too long")
        finally:
            writer.close()
        return Response(
            status=parser.get_status_code(),
            body=bytes(answer.body),
            content_type=answer.content_type,
            headers=tuple(answer.headers),
        )


class _Answer:
    """What the parser tells of an answer, as it comes."""

    def __init__(self) -> None:
        self.content_type = b"text/plain"
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.is_whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-type":
            self.content_type = value
        elif name not in _OURS:
            self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_whole = True


def console_note(settings: Settings, management: str) -> str:
    """Where the console is and who may sign in, for people."""
    users = Users(settings.console_path)
    names, first = users.names(), settings.console_path / FIRST_PASSWORD
    where = f"console at {management}{CONSOLE_PATH}/"
    return f"{where}: sign in as {names[0]}, with the password in {first}" if first.exists() and names else where


def _encoded(request: Request) -> bytes:
    target = f"{request.path}?{request.query}" if request.query else request.path
    headers = [(name, value) for name, value in request.head.headers if name not in _OURS]
    headers += [(b"connection", b"close"), (b"content-length", b"%d" % len(request.body))]
    lines = [f"{'GET' if request.method == 'HEAD' else request.method} {target} HTTP/1.1".encode("latin-1")]
    lines += [b"%b: %b" % header for header in headers]
    return b"\r\n".join([*lines, b"", request.body])


def _unavailable(message: str) -> FairleadError:
    return FairleadError(Code.UNAVAILABLE, message, hint="try again; the server's log says why")
