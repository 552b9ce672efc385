"""Serve the fakes on a free port of the loopback and say which; the arguments are HttpServer's, as NAME=SECONDS."""

import sys

import uvloop
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app

from fairlead.transport.listener import open_socket
from fairlead.transport.server import HttpServer

catalogue = FakeCatalogue()
waits = {name: float(seconds) for name, _, seconds in (argument.partition("=") for argument in sys.argv[1:])}
sock = open_socket("127.0.0.1", 0)
sys.stdout.write(f"{sock.getsockname()[1]}\n")
sys.stdout.flush()
uvloop.run(HttpServer(build_app(catalogue, FakePredictor(catalogue)), sock, **waits).serve())
