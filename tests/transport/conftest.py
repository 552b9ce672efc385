"""A process to talk to without a socket: a client that calls the application over the fakes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import settings
from tests.transport.examples import FUZZ_EXAMPLES, examples
from tests.transport.fakes import LIMIT, FakeCatalogue, FakePredictor, build_app
from tests.transport.live import Running

from fairlead.transport.http import HttpApp
from fairlead.transport.message import Head, Request

if FUZZ_EXAMPLES:  # also for the properties that name no number of their own
    settings.register_profile("fuzz", examples(FUZZ_EXAMPLES))
    settings.load_profile("fuzz")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of an error, in either shape."""
        error = self.json()["error"]
        return str(error if isinstance(error, str) else error["message"])


class Client:
    """Asks the application as a connection would, a fresh event loop for each request."""

    def __init__(self, app: HttpApp) -> None:
        self.app = app

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: bytes | Mapping[str, Any] = b"", **headers: str) -> Answer:
        return self.request("POST", path, body if isinstance(body, bytes) else orjson.dumps(body), **headers)

    def predict(self, model: str, body: bytes | Mapping[str, Any], **headers: str) -> Answer:
        return self.post(f"/v1/models/{model}:predict", body, **headers)

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        return asyncio.run(self.ask(request_of(method, path, body, **headers)))

    async def ask(self, request: Request) -> Answer:
        """What `request` gets, in the event loop that runs."""
        response = await self.app.answer(request)
        headers = {b"content-type": response.content_type} | dict(response.headers)
        return Answer(
            status=response.status,
            headers={name.decode(): value.decode() for name, value in headers.items()},
            body=response.body,
        )


def request_of(method: str, path: str, body: bytes = b"", **headers: str) -> Request:
    """A request as it is once it has been read."""
    path, _, query = path.encode().decode("latin-1").partition("?")
    head = Head(
        method=method,
        path=path,
        query=query,
        headers=tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()),
    )
    return Request(head, body, arrived=time.monotonic(), max_body_bytes=LIMIT)


@pytest.fixture
def catalogue() -> FakeCatalogue:
    """What the application under test thinks there is."""
    return FakeCatalogue()


@pytest.fixture
def predictor(catalogue: FakeCatalogue) -> FakePredictor:
    """What answers in the application under test."""
    return FakePredictor(catalogue)


@pytest.fixture
def client(catalogue: FakeCatalogue, predictor: FakePredictor) -> Client:
    """A client of the application under test."""
    return Client(build_app(catalogue, predictor))


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Starts servers of a test's own, and sees to it that they have left when it ends."""
    with ExitStack() as lifetimes:

        def start(*arguments: Any, **options: Any) -> Running:
            running = Running(*arguments, **options)
            lifetimes.callback(running.stop)
            return running

        yield start
