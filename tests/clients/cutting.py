"""A stretch of the way to a server that can be cut."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

__all__ = ["Cutting"]

_CHUNK = 1 << 16
_LARGE = 1000
"""Bytes of what is surely an answer with tensors in it."""


class Cutting:
    """Passes connections on to `port`, and cuts it after the first half of a large answer, so often. A context.

    Attributes:
        port: where it listens.
        cuts: how many are still to be cut.
        connections: how many were passed on.
    """

    def __init__(self, port: int, *, cuts: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.cuts = cuts
        self.connections = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (self._listener, *self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._open += [client, server]
                self.connections += 1
                threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, are_answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if are_answers and self._is_cut(data):
                    sink.sendall(data[: len(data) // 2])
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_cut(self, data: bytes) -> bool:
        with self._lock:
            if len(data) < _LARGE or not self.cuts:
                return False
            self.cuts -= 1
            return True
