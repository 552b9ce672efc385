"""The program of the console: the pages for people, over a socket that the parent hands requests through.

It is a child of `fairlead serve` and ends with it. Nothing waits for it: while it is gone, only its pages are.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import uvicorn

from fairlead.app.console.line import ConsoleAssignment
from fairlead.app.console.sampling import Sampler
from fairlead.app.console.views import open_views
from fairlead.app.keeper import when_alone
from fairlead.app.log_files import open_log_files
from fairlead.console.application import create_application
from fairlead.console.session import Sessions
from fairlead.console.traffic import History
from fairlead.console.users import Users
from fairlead.telemetry.logs import configure_logging
from fairlead.telemetry.standard_error import keep_standard_error

__all__ = ["main"]

_LEAVE_S = 1
_MOST_AT_ONCE = 64


def main() -> int:
    """Answer until the line to the parent ends; the argument is the descriptor of that line. The exit status."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # what is typed at the terminal is for the parent
    return asyncio.run(_main(socket.socket(fileno=int(sys.argv[1]))))


async def _main(line: socket.socket) -> int:
    reader, _writer = await asyncio.open_unix_connection(sock=line)
    first = await reader.readline()
    if not first:
        return 0
    assignment = ConsoleAssignment.parse(first)
    settings, doors = assignment.settings, assignment.doors
    configure_logging(keep_standard_error(), settings.log_format)
    open_log_files(settings)
    users, history = Users(settings.console_path), History()
    application = create_application(
        open_views(settings, history, rest=assignment.rest, key=assignment.key, door=doors.get("rest")),
        users,
        Sessions(users),
    )
    config = uvicorn.Config(
        application,
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",  # that it starts and ends is the parent's to tell
        server_header=False,
        date_header=False,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_graceful_shutdown=_LEAVE_S,
    )
    config.load()
    server = uvicorn.Server(config)
    sampling = asyncio.create_task(
        Sampler(assignment.management, assignment.key, doors.get("management"), history).run()
    )
    ending = asyncio.create_task(when_alone(reader, lambda: setattr(server, "should_exit", True)))
    await server.serve(sockets=[socket.socket(fileno=assignment.listener)])
    sampling.cancel()
    ending.cancel()
    return 0


if __name__ == "__main__":
    os.nice(5)  # predictions come first
    sys.exit(main())
