"""What serves one port, whatever is spoken there: it accepts, cuts those who take too long, and knows how to leave."""

from __future__ import annotations

import asyncio
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, cast

from fairlead.transport.acceptor import Acceptor, Alone, Siblings, Tls
from fairlead.transport.limits import Limits

__all__ = ["PortServer"]

_POLL_S = 0.05
_MOST_SWEEP_S = 0.5


class _Connection(Protocol):
    def cut_overdue(self, now: float, /) -> None:
        """End it if the client takes too long, at the monotonic second `now`."""

    def abort(self) -> None:
        """End it now."""


C = TypeVar("C", bound=_Connection)


class PortServer(ABC, Generic[C]):
    """Serves a socket until it is told to `drain`.

    The drain: no connection is accepted any more, and the clients of the open ones are asked to go, as their protocol
    has it; the server leaves when they are gone, at most `drain_timeout_s` later. A second call ends it at once.

    Args:
        sock: a listening socket, closed in this process when `serve` returns.
        limits: what a client may take.
        owns_port: False when another process accepts from the same socket, and will after this one has left: then the
            drain just stops accepting.
        siblings: those processes, for each to have its share.
        tls: what is shown to clients before anything is said; None where connections are plain.
        drain_timeout_s: the longest wait for open connections.

    Attributes:
        connections: those that are open; each puts itself in, and takes itself out.
        limits: as above.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        limits: Limits | None = None,
        owns_port: bool = True,
        siblings: Siblings | None = None,
        tls: Tls | None = None,
        drain_timeout_s: float = 30.0,
    ) -> None:
        self.limits = limits or Limits()
        self.connections: set[C] = set()
        self._drain_timeout_s = drain_timeout_s
        self._acceptor = Acceptor(
            sock,
            cast(
                "Callable[[], asyncio.Protocol]", self.connect
            ),  # but for the base, which a compiled class cannot have
            count=self.connections.__len__,
            siblings=siblings or Alone(),
            owns_port=owns_port,
            tls=tls,
            handshake_timeout_s=self.limits.header_timeout_s,
            most_handshakes=self.limits.connections,
        )
        self._leaving: asyncio.Task[None] | None = None
        self._end = asyncio.Event()

    @abstractmethod
    def connect(self) -> C:
        """What speaks on a new connection."""

    @abstractmethod
    def begin_drain(self) -> None:
        """Let what is answered from now on know that the server leaves."""

    @abstractmethod
    def part(self, connection: C, since_s: float) -> None:
        """See to it that an open connection ends, `since_s` seconds into the drain. Called again and again."""

    async def serve(self) -> None:
        """Answer; return when the drain has ended and no connection is left."""
        loop = asyncio.get_running_loop()
        self._acceptor.start()
        sweeping = loop.create_task(self._sweep())
        try:
            await self._end.wait()
        finally:
            sweeping.cancel()
            await self._acceptor.close()
            await self._abort_all()

    def drain(self) -> None:
        """Start to leave; called again, leave at once. Call it in the event loop."""
        if self._leaving is None:
            self.begin_drain()
            self._leaving = asyncio.get_running_loop().create_task(self._leave())
        else:
            self._end.set()

    async def _sweep(self) -> None:
        """Cut the clients that take too long. One look at all now and then costs a request less than a timer would."""
        limits = self.limits
        pause = min(limits.header_timeout_s / 4, limits.body_timeout_s / 4, limits.linger_s / 4, _MOST_SWEEP_S)
        while True:
            await asyncio.sleep(pause)
            self._acceptor.tell()
            now = time.monotonic()
            for connection in [*self.connections]:
                connection.cut_overdue(now)

    async def _leave(self) -> None:
        await self._acceptor.stop()
        started = time.monotonic()
        while (since_s := time.monotonic() - started) < self._drain_timeout_s:
            for connection in [*self.connections]:
                self.part(connection, since_s)
            await asyncio.sleep(_POLL_S)  # also for those accepted a moment ago to be counted
            if not self.connections:
                break
        self._end.set()

    async def _abort_all(self) -> None:
        for connection in [*self.connections]:
            connection.abort()
        while self.connections:  # noqa: ASYNC110 - their ends are due in the next turn of the loop
            await asyncio.sleep(0)
