"""A process to talk to without a socket: a client that calls the application over the fakes."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from PIL import Image, ImageDraw
from tests.transport.fakes import FakeCatalogue, FakePredictor, build_app

from fairlead.transport.http import HttpApp


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
    """Calls the application as a server would, a fresh event loop for each request."""

    def __init__(self, app: HttpApp) -> None:
        self.app = app

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def post(self, path: str, body: bytes | Mapping[str, Any] = b"", **headers: str) -> Answer:
        return self.request("POST", path, body if isinstance(body, bytes) else orjson.dumps(body), **headers)

    def predict(self, model: str, body: bytes | Mapping[str, Any]) -> Answer:
        return self.post(f"/v1/models/{model}:predict", body)

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        announced = {"content_length": str(len(body))} | headers
        answer = self.exchange(method, path, announced, [{"type": "http.request", "body": body, "more_body": False}])
        assert answer is not None
        return answer

    def stream(self, path: str, chunks: Iterable[bytes]) -> Answer:
        """POST without announcing a length."""
        events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        answer = self.exchange("POST", path, {}, [*events, {"type": "http.request", "body": b"", "more_body": False}])
        assert answer is not None
        return answer

    def exchange(
        self, method: str, path: str, headers: Mapping[str, str], events: Iterable[MutableMapping[str, Any]]
    ) -> Answer | None:
        """Send exactly these events, then a disconnect; None when there was no answer."""
        raw_path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        incoming = itertools.chain(events, itertools.repeat({"type": "http.disconnect"}))
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            return dict(next(incoming))

        async def send(event: MutableMapping[str, Any]) -> None:
            sent.append(event)

        asyncio.run(self.app(scope, receive, send))
        return _answer(sent) if sent else None


def _answer(sent: list[MutableMapping[str, Any]]) -> Answer:
    head, *parts = sent
    return Answer(
        status=head["status"],
        headers={name.decode(): value.decode() for name, value in head["headers"]},
        body=b"".join(part["body"] for part in parts),
    )


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


@pytest.fixture(scope="session")
def picture() -> bytes:
    """A PNG with a stroke on white."""
    image = Image.new("L", (60, 60), 255)
    ImageDraw.Draw(image).line((30, 10, 30, 50), fill=0, width=6)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
