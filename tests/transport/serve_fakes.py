"""Serve the fakes on a free port of the loopback and say which."""

import asyncio
import signal
import sys

import uvloop
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app

from fairlead.transport.listener import open_socket
from fairlead.transport.server import HttpServer


async def serve() -> None:
    """Until the second signal, or until the first one's drain has ended."""
    catalogue = FakeCatalogue()
    with open_socket("127.0.0.1", 0) as sock:
        app = build_app(catalogue, FakePredictor(catalogue))
        server = HttpServer(app, sock)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, server.drain)
        sys.stdout.write(f"{sock.getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve()


uvloop.run(serve())
