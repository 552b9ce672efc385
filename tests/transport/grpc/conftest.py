"""Servers that end with their tests."""

from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from tests.transport.grpc.channel import Channel
from tests.transport.grpc.live import Running
from tests.transport.grpc.wire import Wire


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    """A server that the tests of a module share: none of them may harm it."""
    running = Running()
    yield running
    running.stop()


class Start(Protocol):
    """Starts a server of a test's own; the arguments are those of `Running`."""

    def __call__(self, *args: Any, **settings: Any) -> Running: ...


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers, and ends them with the test."""
    started: list[Running] = []

    def start(*args: Any, **settings: Any) -> Running:
        started.append(Running(*args, **settings))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture
def wire(server: Running) -> Iterator[Wire]:
    """A client of the shared server that says what it likes."""
    with Wire(server.port) as client:
        client.greet()
        yield client


@pytest.fixture(scope="module")
def channel(server: Running) -> Iterator[Channel]:
    """A well-behaved client of the shared server."""
    with Channel(server.address) as client:
        yield client
