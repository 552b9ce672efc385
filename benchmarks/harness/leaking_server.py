"""The negative control of `memory.py`: a server that keeps something of every request, and must fail the check.

python -m benchmarks.harness.leaking_server PORT BYTES      BYTES are kept of each request, a descriptor of each 1,000th
"""

from __future__ import annotations

import asyncio
import os
import sys

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_REQUEST_END = b"\r\n\r\n"


class LeakingServer:
    """Answers every request with `{}`, whatever it is; bodies have to be empty."""

    def __init__(self, kept_bytes: int) -> None:
        self._kept_bytes = kept_bytes
        self._memory: list[bytes] = []
        self._descriptors: list[int] = []

    async def serve(self, port: int) -> None:
        """Until the process ends."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", port)
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(_REQUEST_END)
                self._leak()
                writer.write(_ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _leak(self) -> None:
        self._memory.append(os.urandom(self._kept_bytes))
        if len(self._memory) % 1000 == 0:
            self._descriptors.append(os.dup(0))


if __name__ == "__main__":
    asyncio.run(LeakingServer(int(sys.argv[2])).serve(int(sys.argv[1])))
