"""Clients on raw sockets, in closed loops, that keep account of every request."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Self

import grpc
import numpy as np
from tests.transport.grpc.protos import infer_request

TIMEOUT_S = 30.0
BODY = json.dumps({"instances": np.zeros((1, 28, 28, 1)).tolist()}).encode()
REQUEST = b"POST /v1/models/digits:predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Clients:
    """Half of them keep their connection as long as they may, half take a new one for each request.

    A context: the clients run in it.

    Attributes:
        outcomes: how many requests ended how: "200", another status, "refused", or "failed: ..." when a connection
            that had been made brought no whole answer.
    """

    def __init__(self, port: int, count: int = 16) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(which % 2 == 0,)) for which in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for(10 * len(self._threads))
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    @property
    def failed(self) -> list[str]:
        """Each kind of failure, with how often it was met."""
        return [f"{count} {outcome}" for outcome, count in self.outcomes.items() if outcome != "200"]

    def wait_for(self, more: int) -> None:
        """Return when so many more requests were answered with 200."""
        wanted = self.outcomes["200"] + more
        wait_until(lambda: self.outcomes["200"] >= wanted)

    def _run(self, keep_alive: bool) -> None:
        while not self._over.is_set():
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), TIMEOUT_S)
            except ConnectionRefusedError:
                self._note("refused")
                time.sleep(0.01)  # as a client would that does not hammer a closed port
                continue
            with connection:
                while self._ask(connection) and keep_alive and not self._over.is_set():
                    pass

    def _ask(self, connection: socket.socket) -> bool:
        """Ask once; whether the connection may be used again."""
        try:
            connection.sendall(REQUEST)
            head = _answer(connection)
        except (OSError, EOFError) as error:
            self._note(f"failed: {error!r}")
            return False
        self._note(head.split(b" ", 2)[1].decode())
        return b"connection: close" not in head.lower()

    def _note(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1


class Callers:
    """The same over gRPC: half of them keep their channel, half take a new one for each call. A context.

    Attributes:
        outcomes: how many calls ended how: "OK", or another code with its details.
    """

    def __init__(self, port: int, count: int = 8) -> None:
        self.outcomes: Counter[str] = Counter()
        self._address = f"127.0.0.1:{port}"
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(which % 2 == 0,)) for which in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for(10 * len(self._threads))
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int) -> None:
        """Return when so many more calls ended well."""
        wanted = self.outcomes["OK"] + more
        wait_until(lambda: self.outcomes["OK"] >= wanted)

    def _run(self, keeps_channel: bool) -> None:
        request = infer_request("digits", image=np.zeros((1, 28, 28, 1), np.float32)).SerializeToString()
        while not self._over.is_set():
            # A pool of its own: channels of one process to one address would share a connection.
            with grpc.insecure_channel(self._address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
                while self._ask(call, request) and keeps_channel and not self._over.is_set():
                    pass

    def _ask(self, call: Callable[..., bytes], request: bytes) -> bool:
        outcome = "OK"
        try:
            call(request, timeout=TIMEOUT_S)
        except grpc.RpcError as error:
            outcome = f"{error.code().name}: {error.details()}"
        with self._lock:
            self.outcomes[outcome] += 1
        return outcome == "OK"


def _answer(connection: socket.socket) -> bytes:
    """The head of the answer, whose body has been read."""
    received = b""
    while True:
        head, is_whole, body = received.partition(b"\r\n\r\n")
        if is_whole and (length := LENGTH.search(head)) and len(body) >= int(length[1]):
            return head
        chunk = connection.recv(65536)
        if not chunk:
            raise EOFError(f"closed after {len(received)} bytes")
        received += chunk


def quickest(attempt: Callable[[], float], most_s: float, attempts: int = 3) -> float:
    """The least seconds that it took, tried again while that is too long: in one of them a machine may stand still."""
    took_s = attempt()
    while took_s >= most_s and (attempts := attempts - 1):
        took_s = min(took_s, attempt())
    return took_s


def wait_until(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> float:
    """Return once it holds, with the seconds that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + timeout_s
        time.sleep(0.005)
    return time.monotonic() - began
