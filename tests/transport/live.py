"""A server on a real socket, and one way to ask it."""

import asyncio
import socket
import ssl
import threading
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection

import uvloop
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app

from fairlead.transport.acceptor import Tls
from fairlead.transport.limits import Limits
from fairlead.transport.listener import open_socket
from fairlead.transport.ports import ModelControl
from fairlead.transport.server import QUIET_S, HttpServer

PATH = "/v1/models/echo:predict"
BODY = b'{"instances": [[1.0, 2.0]]}'
TIMEOUT_S = 20.0


class Running:
    """A server in a thread of its own.

    `shared` is the port if another one accepts from it too, `context` what clients of one with `tls` go by.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        shared: socket.socket | None = None,
        quiet_s: float = QUIET_S,
        drain_timeout_s: float = 30.0,
        control: ModelControl | None = None,
        catalogue: FakeCatalogue | None = None,
        tls: Tls | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._context = context
        catalogue = catalogue or FakeCatalogue()
        self.predictor = FakePredictor(catalogue)
        self.app = build_app(catalogue, self.predictor, control=control)
        self.sock = shared.dup() if shared else open_socket("127.0.0.1", 0)
        self.port: int = self.sock.getsockname()[1]
        self.server = HttpServer(
            self.app,
            self.sock,
            limits=limits,
            owns_port=shared is None,
            quiet_s=quiet_s,
            drain_timeout_s=drain_timeout_s,
            tls=tls,
        )
        self.thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self.thread.start()
        with closing(self.connect()) as connection:  # answered once the loop is known
            ask(connection)

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self.server.serve()

    def connect(self) -> HTTPConnection:
        """An open connection."""
        connection = (
            HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
            if self._context is None
            else HTTPSConnection("127.0.0.1", self.port, timeout=TIMEOUT_S, context=self._context)
        )
        connection.connect()
        return connection

    def drain(self) -> None:
        """Start the drain as a signal would, and return once it has begun."""
        begun = threading.Event()

        def begin() -> None:
            self.server.drain()
            begun.set()

        self.loop.call_soon_threadsafe(begin)
        while not begun.wait(0.01) and self.thread.is_alive():  # the loop may end before its turn comes
            pass

    def stop(self) -> None:
        """Leave at once, unless it has left."""
        if self.thread.is_alive():
            for _ in range(2):
                self.loop.call_soon_threadsafe(self.server.drain)
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()

    def holds_answers(self) -> asyncio.Event:
        """From now on answers wait for this event, which is to be set in the loop."""
        self.predictor.pause = asyncio.Event()
        return self.predictor.pause


def ask(connection: HTTPConnection, body: bytes = BODY) -> HTTPResponse:
    """One prediction over `connection`; the answer has been read."""
    connection.request("POST", PATH, body)
    answer = connection.getresponse()
    answer.read()
    return answer


def converse(port: int, *pieces: bytes) -> bytes:
    """Send the pieces one by one; all that comes back until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            client.sendall(piece)
        return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    received = b""
    while data := client.recv(65536):
        received += data
    return received


def is_open(port: int) -> bool:
    """Whether the port takes connections."""
    try:
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()
    except ConnectionRefusedError:
        return False
    return True
