"""The four clients of `tritonclient` behind one face: what they have in common is asked of all alike."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.cli.conftest import Server
from tests.clients.models import DATATYPES

from fairlead.errors import Code
from fairlead.servable.signature import Array

__all__ = ["GRPC", "GRPC_AIO", "HTTP", "HTTP_AIO", "Flavour", "Triton", "connected"]

_HTTP_STATUS = {
    Code.INVALID_ARGUMENT: "400",
    Code.NOT_FOUND: "404",
    Code.UNIMPLEMENTED: "501",
    Code.UNAVAILABLE: "503",
    Code.DEADLINE_EXCEEDED: "504",
}


@dataclass(frozen=True)
class Flavour:
    """Which of the clients: `name` is its module's, under `tritonclient`."""

    name: str

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"tritonclient.{self.name}")

    @property
    def is_grpc(self) -> bool:
        return self.name.startswith("grpc")

    def status(self, code: Code) -> str:
        """What the client's exceptions say of an error with this code."""
        return f"StatusCode.{code}" if self.is_grpc else _HTTP_STATUS[code]

    def given(self, name: str, array: Array, **options: bool) -> Any:
        """`array` as an input; options are those of `set_data_from_numpy`."""
        dtype = "string" if array.dtype == object else array.dtype.name
        tensor = self.module.InferInput(name, list(array.shape), DATATYPES[dtype])
        tensor.set_data_from_numpy(array, **options)
        return tensor

    def wanted(self, name: str, **options: Any) -> Any:
        """An output to ask for."""
        return self.module.InferRequestedOutput(name, **options)


HTTP, HTTP_AIO, GRPC, GRPC_AIO = map(Flavour, ("http", "http.aio", "grpc", "grpc.aio"))


@dataclass(frozen=True)
class Triton:
    """A client that is connected to a server.

    Attributes:
        flavour: which one.
        client: it; a call returns when it is answered, also where the client's own is awaited.
    """

    flavour: Flavour
    client: Any

    def page(self, call: str, *arguments: str) -> Any:
        """What a call that is answered with a page says, as JSON."""
        return getattr(self.client, call)(*arguments, **({"as_json": True} if self.flavour.is_grpc else {}))

    def infer(self, model: str, inputs: Mapping[str, Array], outputs: tuple[str, ...] = (), **options: Any) -> Any:
        """One inference; without `outputs`, all of them."""
        given = [self.flavour.given(name, array) for name, array in inputs.items()]
        wanted = [self.flavour.wanted(name) for name in outputs]
        return self.client.infer(model, given, outputs=wanted or None, **options)

    def response(self, result: Any) -> Any:
        """A result without its tensors, as JSON."""
        return result.get_response(**({"as_json": True} if self.flavour.is_grpc else {}))


class _Awaited:
    """A client of asyncio, each of whose calls is run to its end."""

    def __init__(self, runner: asyncio.Runner, client: Any) -> None:
        self._runner = runner
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)
        return lambda *arguments, **options: self._runner.run(call(*arguments, **options))


@contextmanager
def connected(flavour: Flavour, server: Server) -> Iterator[Triton]:
    """A client of that flavour, connected to `server`."""
    address = f"127.0.0.1:{server.grpc_port if flavour.is_grpc else server.port}"
    if not flavour.name.endswith("aio"):
        with flavour.module.InferenceServerClient(address) as client:
            yield Triton(flavour, client)
        return

    async def connect() -> Any:
        return flavour.module.InferenceServerClient(address)

    with asyncio.Runner() as runner:
        client = _Awaited(runner, runner.run(connect()))
        try:
            yield Triton(flavour, client)
        finally:
            client.close()
