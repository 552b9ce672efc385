"""Asks over REST, for an event loop: HTTP/1.1 on connections that are kept."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from fairlead.client.address import Address
from fairlead.client.call_error import StaleError, closed, left, told
from fairlead.client.http_message import AnswerReader, HttpAnswer
from fairlead.client.http_wire import CHUNK_BYTES, KEPT_S
from fairlead.client.question import Question
from fairlead.client.rest import decode, request_bytes

__all__ = ["AsyncHttpWire"]

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class AsyncHttpWire:
    """Tasks of one event loop may share it. As `HttpWire`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._tls = address.tls()
        self._idle: list[tuple[Connection, float]] = []
        self._is_closed = False

    async def ask(self, question: Question, deadline: float) -> Any:
        """The answer, by that monotonic second.

        Raises:
            FairleadError: when there is none, or it is an error.
        """
        where = str(self._address)
        with told(where):
            data = request_bytes(question, self._address, deadline)
            async with asyncio.timeout(left(deadline)):
                answer = await self._exchange(data)
        return decode(question, answer, where)

    async def close(self) -> None:
        """End the connections; one that is in use ends with its call."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        for connection, _ in idle:
            await _end(connection)

    async def _exchange(self, data: bytes) -> HttpAnswer:
        """The answer, on a connection that was kept, or on a new one where the server has ended that meanwhile."""
        kept = await self._take()
        if kept is not None:
            with suppress(StaleError):
                return await self._on(kept, data)
        address, name = self._address, self._address.host if self._tls else None
        return await self._on(
            await asyncio.open_connection(address.host, address.port, ssl=self._tls, server_hostname=name), data
        )

    async def _on(self, connection: Connection, data: bytes) -> HttpAnswer:
        answers, writer = connection
        reader = AnswerReader()
        try:
            writer.write(data)
            with suppress(ConnectionError):  # a server that refuses early has answered; what is read tells
                await writer.drain()
            answer = None
            while answer is None:
                answer = reader.feed(await answers.read(CHUNK_BYTES))
        except (Exception, asyncio.CancelledError) as error:
            await _end(connection)
            if isinstance(error, EOFError | ConnectionError) and not reader.has_begun:
                raise StaleError(*error.args) from error
            raise
        if answer.keep_alive and not self._is_closed:
            self._idle.append((connection, time.monotonic()))
        else:
            await _end(connection)
        return answer

    async def _take(self) -> Connection | None:
        """The connection that was used last, if it is not too old; with it all the others are."""
        if self._is_closed:
            raise closed()
        if not self._idle:
            return None
        connection, since = self._idle.pop()
        if time.monotonic() < since + KEPT_S:
            return connection
        old, self._idle = [connection, *(other for other, _ in self._idle)], []
        for one in old:
            await _end(one)
        return None


async def _end(connection: Connection) -> None:
    """Close it at once, with no good-bye of TLS to wait for."""
    _, writer = connection
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
