"""Fairlead's own clients, of both kinds, called in the same words."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Self

import pytest
from tests.cli.conftest import Server

import fairlead
from fairlead.errors import FairleadError

__all__ = ["KINDS", "SCHEMES", "Caller", "url_of"]

KINDS: dict[str, type[Any]] = {"threads": fairlead.Client, "loop": fairlead.AsyncClient}
SCHEMES = ("http", "grpc")


class Caller:
    """Calls a client of either kind by the names of its methods, and waits for what it answers. A context."""

    def __init__(self, kind: type[fairlead.Client | fairlead.AsyncClient], url: str, **settings: Any) -> None:
        self._runner = asyncio.Runner()
        self.client = self._runner.run(_made(kind, url, settings))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.call("close")
        self._runner.close()

    def call(self, method: str, *arguments: Any, **named: Any) -> Any:
        """What the method returns."""
        given = getattr(self.client, method)(*arguments, **named)
        return self._runner.run(_awaited(given)) if inspect.isawaitable(given) else given

    def predict(self, *arguments: Any, **named: Any) -> fairlead.Prediction:
        """What `predict` returns."""
        prediction: fairlead.Prediction = self.call("predict", *arguments, **named)
        return prediction

    def refused(self, method: str, *arguments: Any, **named: Any) -> FairleadError:
        """The error of a call that must fail."""
        with pytest.raises(FairleadError) as caught:
            self.call(method, *arguments, **named)
        return caught.value


async def _made(kind: Any, url: str, settings: Any) -> Any:
    return kind(url, **settings)


async def _awaited(given: Any) -> Any:
    return await given


def url_of(server: Server, scheme: str) -> str:
    """Where the server speaks it."""
    return f"{scheme}://127.0.0.1:{server.grpc_port if scheme.startswith('grpc') else server.port}"
