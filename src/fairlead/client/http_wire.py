"""Asks over REST, for threads that wait: HTTP/1.1 on connections that are kept."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Any

from fairlead.client.address import Address
from fairlead.client.call_error import StaleError, closed, left, told
from fairlead.client.http_message import AnswerReader, HttpAnswer
from fairlead.client.question import Question
from fairlead.client.rest import decode, request_bytes

__all__ = ["CHUNK_BYTES", "KEPT_S", "HttpWire"]

CHUNK_BYTES = 1 << 18
KEPT_S = 30.0
"""How long a connection may lie idle; the server ends it after 75 s."""


class HttpWire:
    """Threads may share it.

    Args:
        address: whom to ask.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._tls = address.tls()
        self._lock = threading.Lock()
        self._idle: list[tuple[socket.socket, float]] = []
        self._is_closed = False

    def ask(self, question: Question, deadline: float) -> Any:
        """The answer, by that monotonic second.

        Raises:
            FairleadError: when there is none, or it is an error.
        """
        where = str(self._address)
        with told(where):
            data = request_bytes(question, self._address, deadline)
            answer = self._exchange(data, deadline)
        return decode(question, answer, where)

    def close(self) -> None:
        """End the connections; one that is in use ends with its call."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for connection, _ in idle:
            connection.close()

    def _exchange(self, data: bytes, deadline: float) -> HttpAnswer:
        """The answer, on a connection that was kept, or on a new one where the server has ended that meanwhile."""
        kept = self._take()
        if kept is not None:
            with suppress(StaleError):
                return self._on(kept, data, deadline)
        return self._on(self._connect(deadline), data, deadline)

    def _on(self, connection: socket.socket, data: bytes, deadline: float) -> HttpAnswer:
        reader = AnswerReader()
        try:
            connection.settimeout(left(deadline))
            with suppress(ConnectionError):  # a server that refuses early has answered; what is read tells
                connection.sendall(data)
            answer = None
            while answer is None:
                connection.settimeout(left(deadline))
                answer = reader.feed(connection.recv(CHUNK_BYTES))
        except BaseException as error:
            connection.close()
            if isinstance(error, EOFError | ConnectionError) and not reader.has_begun:
                raise StaleError(*error.args) from error
            raise
        self._keep(connection, answer)
        return answer

    def _connect(self, deadline: float) -> socket.socket:
        connection = _dial(self._address.host, self._address.port, deadline)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(left(deadline))
            if self._tls is None:
                return connection
            return self._tls.wrap_socket(connection, server_hostname=self._address.host)
        except BaseException:
            connection.close()
            raise

    def _take(self) -> socket.socket | None:
        """The connection that was used last, if it is not too old; with it all the others are."""
        with self._lock:
            if self._is_closed:
                raise closed()
            if not self._idle:
                return None
            connection, since = self._idle.pop()
            if time.monotonic() < since + KEPT_S:
                return connection
            old, self._idle = [connection, *(other for other, _ in self._idle)], []
        for connection in old:
            connection.close()
        return None

    def _keep(self, connection: socket.socket, answer: HttpAnswer) -> None:
        with self._lock:
            if answer.keep_alive and not self._is_closed:
                self._idle.append((connection, time.monotonic()))
                return
        connection.close()


def _dial(host: str, port: int, deadline: float) -> socket.socket:
    """A connection to the first of the host's addresses that takes one."""
    failed: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left(deadline))
            connection.connect(place)
        except OSError as error:
            connection.close()
            failed = error
        else:
            return connection
    raise failed
