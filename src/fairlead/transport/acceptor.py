"""Takes connections from a listening socket that other processes may take from as well."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from fairlead.transport.listener import accept_all, turn_away

__all__ = ["Acceptor", "Alone", "Siblings", "Tls"]

_MOST_AT_ONCE = 64
"""Connections a turn of the event loop, so that those that are open are not kept waiting."""

_MOST_AHEAD = 4
_HOLD_S = 0.001
_NO_FILES_S = 0.1
_HANDSHAKE_S = 0.05
_TLS_LAST_S = 1.0
_TLS_LINGER_S = 2.0
_log = logging.getLogger(__name__)


class Siblings(Protocol):
    """The processes that accept from the same socket."""

    def fewest(self) -> int | None:
        """How many connections the one with the fewest has; None when there is no other."""

    def tell(self, connections: int | None) -> None:
        """Let them know how many this process has; None when it accepts no more."""


class Tls(Protocol):
    """What is shown to clients before anything is said; `transport.tls.followed.FollowedTls` is the one."""

    def context(self) -> ssl.SSLContext:
        """For a connection that begins now."""

    def failed(self) -> None:
        """A client did not come to terms with it, or took too long."""


class Alone:
    """No siblings."""

    def fewest(self) -> int | None:
        return None

    def tell(self, connections: int | None) -> None:
        pass


class Acceptor:
    """Hands connections to protocols, and leaves them to a sibling that has fewer.

    The system wakes all processes that wait on a socket, and whoever runs first would take all that is there: 64
    connections that come at once, for good. A process that is ahead of another holds back for a moment instead, and
    only takes what is still there then.

    Args:
        sock: a listening socket that does not block; closed by `stop`.
        new_protocol: makes what speaks on a connection.
        count: how many connections are open.
        siblings: who else accepts from `sock`.
        owns_port: False when another process will accept from `sock` after this one has left.
        tls: None where connections are plain.
        handshake_timeout_s: how long a client may take to come to terms with it.
        most_handshakes: how many clients may be about to; further ones are closed without a word.
    """

    def __init__(
        self,
        sock: socket.socket,
        new_protocol: Callable[[], asyncio.Protocol],
        *,
        count: Callable[[], int],
        siblings: Siblings,
        owns_port: bool,
        tls: Tls | None = None,
        handshake_timeout_s: float = 10.0,
        most_handshakes: int = 8192,
    ) -> None:
        self._sock = sock
        self._new_protocol = new_protocol
        self._count = count
        self._siblings = siblings
        self._owns_port = owns_port
        self._tls = tls
        self._handshake_timeout_s = handshake_timeout_s
        self._most_handshakes = most_handshakes
        self._beginning: set[asyncio.Task[object]] = set()
        self._hold: asyncio.TimerHandle | None = None
        self._is_over = False

    def start(self) -> None:
        """Take connections from now on, in the event loop that runs."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._sock, self._on_arrival)
        self.tell()

    def tell(self) -> None:
        """Let the siblings know how many connections there are. Call it now and then: they end, too."""
        if not self._is_over:
            self._siblings.tell(self._open)

    async def stop(self) -> None:
        """Take no more. A port of our own is closed, after those behind it are let in: they would be reset."""
        if self._owns_port:
            turn_away(self._sock)
            await asyncio.sleep(_HANDSHAKE_S)  # for handshakes that had begun
            for connection in accept_all(self._sock):
                self._begin(connection)
        await self.close()

    async def close(self) -> None:
        """Take no more, at once; those that were taken have begun when it returns."""
        if not self._is_over:
            self._is_over = True
            self._siblings.tell(None)
            if self._hold is not None:
                self._hold.cancel()
            self._loop.remove_reader(self._sock)
            self._sock.close()
        if self._beginning:
            _, late = await asyncio.wait(self._beginning, timeout=_TLS_LAST_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    @property
    def _open(self) -> int:
        return self._count() + len(self._beginning)

    def _on_arrival(self) -> None:
        fewest = self._siblings.fewest()
        room = _MOST_AT_ONCE if fewest is None else min(fewest + _MOST_AHEAD - self._open, _MOST_AT_ONCE)
        if room > 0:
            self._accept(room)
        else:
            self._wait(_HOLD_S)

    def _wait(self, seconds: float) -> None:
        self._loop.remove_reader(self._sock)
        self._hold = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self._hold = None
        self._loop.add_reader(self._sock, self._on_arrival)
        self._accept(_MOST_AHEAD)

    def _accept(self, most: int) -> None:
        for _ in range(most):
            try:
                connection, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError as error:  # the process may open no more files
                _log.error("no connection can be accepted: %s", error)
                self._wait(_NO_FILES_S)
                break
            self._begin(connection)
        self.tell()

    def _begin(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if self._tls is None:
            beginning = self._loop.connect_accepted_socket(self._new_protocol, connection)
        elif len(self._beginning) >= self._most_handshakes:
            connection.close()
            return
        else:
            beginning = self._loop.connect_accepted_socket(
                self._new_protocol,
                connection,
                ssl=self._tls.context(),
                ssl_handshake_timeout=self._handshake_timeout_s,
                ssl_shutdown_timeout=_TLS_LINGER_S,
            )
        task = self._loop.create_task(beginning)
        self._beginning.add(task)
        task.add_done_callback(self._begun)

    def _begun(self, task: asyncio.Task[object]) -> None:
        self._beginning.discard(task)
        if self._tls is not None and (task.cancelled() or task.exception() is not None):
            self._tls.failed()
