"""Who takes a connection: alone all of them, among siblings a share."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

from fairlead.transport.acceptor import Acceptor, Alone, Siblings
from fairlead.transport.listener import open_socket


@dataclass
class Sibling:
    """Another process, with so many connections; and what it was told."""

    connections: int
    told: list[int | None] = field(default_factory=list)

    def fewest(self) -> int:
        return self.connections

    def tell(self, connections: int | None) -> None:
        self.told.append(connections)


class Taken(asyncio.Protocol):
    """A connection that is counted and nothing else."""

    def __init__(self, opened: set[asyncio.BaseTransport]) -> None:
        self._opened = opened

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._opened.add(transport)


@dataclass
class Accepting:
    """An acceptor on a port, and what it took."""

    port: int
    acceptor: Acceptor
    opened: set[asyncio.BaseTransport]

    def connect(self, clients: ExitStack, count: int) -> None:
        for _ in range(count):
            clients.enter_context(socket.create_connection(("127.0.0.1", self.port), 5))


@asynccontextmanager
async def accepting(siblings: Siblings, *, owns_port: bool = True) -> AsyncIterator[Accepting]:
    """An acceptor that has started; its port is closed afterwards."""
    opened: set[asyncio.BaseTransport] = set()
    with open_socket("127.0.0.1", 0) as sock:
        acceptor = Acceptor(sock, lambda: Taken(opened), count=opened.__len__, siblings=siblings, owns_port=owns_port)
        acceptor.start()
        try:
            yield Accepting(sock.getsockname()[1], acceptor, opened)
        finally:
            await acceptor.close()
            for transport in opened:
                transport.close()
            await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def test_alone_it_takes_all() -> None:
    """However many come."""
    async with accepting(Alone()) as server:
        with ExitStack() as clients:
            server.connect(clients, 100)
            await until(lambda: len(server.opened) == 100)


async def test_it_leaves_connections_to_a_sibling_that_has_fewer() -> None:
    """At first: what the sibling does not take in a moment is taken nevertheless."""
    sibling = Sibling(connections=0)
    async with accepting(sibling) as server:
        with ExitStack() as clients:
            server.connect(clients, 40)
            await until(lambda: len(server.opened) >= 4)
            began = asyncio.get_running_loop().time()
            await until(lambda: len(server.opened) == 40)
            assert asyncio.get_running_loop().time() - began > 0.005  # ahead by 4, and by as many more each moment


async def test_it_takes_its_share_at_once() -> None:
    """A sibling with more connections is not waited for."""
    sibling = Sibling(connections=100)
    async with accepting(sibling) as server:
        with ExitStack() as clients:
            server.connect(clients, 40)
            await until(lambda: len(server.opened) == 40)
    assert sibling.told[0] == 0
    assert sibling.told[-2:] == [40, None]


async def test_whoever_waits_behind_its_own_port_is_let_in() -> None:
    """Then the port is closed."""
    async with accepting(Sibling(connections=-1000)) as server:
        with ExitStack() as clients:
            server.connect(clients, 30)
            await server.acceptor.stop()
            assert len(server.opened) == 30
            with socket.socket() as late:
                assert late.connect_ex(("127.0.0.1", server.port)) != 0


async def test_a_port_of_others_stays_open() -> None:
    """Whoever connects after this process has stopped is another's."""
    async with accepting(Alone(), owns_port=False) as server:
        with socket.fromfd(server.acceptor._sock.fileno(), socket.AF_INET, socket.SOCK_STREAM) as others:
            others.setblocking(True)
            await server.acceptor.stop()
            with socket.create_connection(("127.0.0.1", server.port), 5):
                others.accept()[0].close()
    assert not server.opened
