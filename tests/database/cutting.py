"""Stands between a client and the PostgreSQL server, and cuts the line after a number of bytes."""

from __future__ import annotations

import enum
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Way(enum.Enum):
    """Which way bytes go."""

    TO_SERVER = 0
    TO_CLIENT = 1


class Cutter:
    """Passes bytes on, counts them, and cuts all lines when as many as were allowed have gone one way."""

    def __init__(self, server: Path) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._allowed: dict[Way, int | None] = dict.fromkeys(Way)
        self.passed = dict.fromkeys(Way, 0)
        self.cuts = 0

    def cut_after(self, way: Way, bytes_: int) -> None:
        """Let so many more bytes pass, cut, and then let everything pass again."""
        with self._lock:
            self._allowed[way] = bytes_

    def never_mind(self) -> None:
        """Cut no more."""
        with self._lock:
            self._allowed = dict.fromkeys(Way)

    def serve(self, listener: socket.socket) -> None:
        """Accept until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._server))
            pair = (client, server)
            self._pairs.append(pair)
            for way in Way:
                threading.Thread(target=self._pump, args=(way, pair), daemon=True).start()

    def cut(self) -> None:
        """Cut all lines."""
        for pair in self._pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it was cut before
        self._pairs.clear()

    def _pump(self, way: Way, pair: tuple[socket.socket, socket.socket]) -> None:
        source, target = pair if way is Way.TO_SERVER else pair[::-1]
        try:
            while data := source.recv(65_536):
                with self._lock:
                    data, is_over = self._allow(way, data)
                    target.sendall(data)
                    if is_over:
                        self.cut()
        except OSError:
            return
        finally:
            for end in pair:
                end.close()

    def _allow(self, way: Way, data: bytes) -> tuple[bytes, bool]:
        self.passed[way] += len(data)
        allowed = self._allowed[way]
        if allowed is None:
            return data, False
        if len(data) <= allowed:
            self._allowed[way] = allowed - len(data)
            return data, False
        self.cuts += 1
        self._allowed = dict.fromkeys(Way)
        return data[:allowed], True


@contextmanager
def cutter(server: Path, directory: Path) -> Iterator[Cutter]:
    """One that listens in `directory` as the server would."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / server.name))
        listener.listen()
        between = Cutter(server)
        thread = threading.Thread(target=between.serve, args=(listener,))
        thread.start()
        yield between
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(60)
        between.cut()
