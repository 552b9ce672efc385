"""Absolute deadlines for what clients send: uvicorn waits for ever for the rest of a header or a body."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["DeadlineProtocol", "cut_overdue"]


class DeadlineProtocol(HttpToolsProtocol):
    """Notes until when what is being received must be complete. A drop a second does not move it.

    A note and no timer: `cut_overdue` looks at all connections now and then, so that a request pays for two additions.

    Args:
        header_timeout_s: from the connection, or from a later request's first byte, to the end of its header.
        body_timeout_s: from the end of the header to the end of the body.
    """

    def __init__(self, *args: Any, header_timeout_s: float, body_timeout_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timeout_s = header_timeout_s
        self._body_timeout_s = body_timeout_s
        self._due: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._due = self.loop.time() + self._header_timeout_s

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._due = self.loop.time() + self._header_timeout_s

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._due = self.loop.time() + self._body_timeout_s

    def on_message_complete(self) -> None:
        self._due = None
        super().on_message_complete()

    def is_overdue(self, now: float) -> bool:
        """Whether the client took too long, at the loop's time `now`."""
        return self._due is not None and now > self._due


async def cut_overdue(connections: set[Any], poll_s: float) -> None:
    """Close the connections whose clients take too long, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(poll_s)
        now = loop.time()
        for connection in [c for c in connections if isinstance(c, DeadlineProtocol) and c.is_overdue(now)]:
            connection.transport.abort()
