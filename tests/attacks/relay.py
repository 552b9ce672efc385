"""Stands between a proxy and the server behind it, and keeps what the server answered."""

from __future__ import annotations

import re
import socket
import threading
from types import TracebackType
from typing import Self

_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) ")


class Relay:
    """Passes on what comes to its own port. A context.

    Attributes:
        port: where it listens.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._answered: list[bytearray] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def answers(self) -> int:
        """How many requests the server has answered: as many as it took what came for."""
        return sum(len(_HEAD.findall(bytes(answered))) for answered in self._answered)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        answered = bytearray()
        self._answered.append(answered)
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            asking = threading.Thread(target=_pump, args=(client, server, None))
            asking.start()
            _pump(server, client, answered)
            asking.join()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray | None) -> None:
    try:
        while data := source.recv(65_536):
            if kept is not None:
                kept += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # one of them is gone: the other learns of it
        source.close()
        sink.close()
