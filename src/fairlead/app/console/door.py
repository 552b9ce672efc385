"""The console's way to the server past ports that have TLS: a socket without a name."""

from __future__ import annotations

import functools
import http.client
import os
import socket
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

__all__ = ["open_door", "opener"]


def open_door(home: Path) -> tuple[socket.socket, int]:
    """A socket that listens, and the descriptor of the place to reach it by.

    It has no name that anybody else could find: the file that it was bound to is gone.
    """
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".console-", dir=home) as name:
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = f"/proc/self/fd/{directory}/s"  # short enough, whatever the home is called
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
            return listener, os.open(path, os.O_PATH | os.O_CLOEXEC)
        finally:
            os.close(directory)


def opener(door: int | None) -> urllib.request.OpenerDirector:
    """Opens URLs whatever proxy the user has: over the network, or all of them through a door."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if door is not None:
        handlers.append(_Handler(door))
    return urllib.request.build_opener(*handlers)


class _Handler(urllib.request.HTTPHandler):
    def __init__(self, door: int) -> None:
        super().__init__()
        self._door = door

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(functools.partial(_Connection, door=self._door), req)


class _Connection(http.client.HTTPConnection):
    def __init__(self, host: str, *, door: int, **rest: Any) -> None:
        super().__init__(host, **rest)
        self._door = door

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(f"/proc/self/fd/{self._door}")
