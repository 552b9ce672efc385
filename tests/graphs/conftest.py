"""A data plane in the test's own process, whose models break when they are told to."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AsyncExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop
from tests.graphs.fakes import make_graph

from fairlead.app.data_plane import DataPlane
from fairlead.app.graphs import publish_graph
from fairlead.app.metrics import ServiceMetrics
from fairlead.config import Settings
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Meter
from fairlead.servable.graph.servable import GraphServable
from fairlead.servable.graph.spec import GraphSpec
from fairlead.servable.identity import ServableId
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.servable.servable import LoadedModel, Servable
from fairlead.servable.signature import Array, Tensors
from fairlead.store.writable_store import WritableStore
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.region import Memory
from fairlead.testing import publish_digit
from fairlead.transport.listener import open_socket

DEADLINE_MS = 20
DEADLINES = {"digits@2": DEADLINE_MS}  # the others answer at once, but on a busy machine
BODY = json.dumps({"instances": np.zeros((1, 28, 28, 1)).tolist()}).encode()


class Faults:
    """What versions do from now on instead of answering, by `MODEL@VERSION`: hang, slow, crash, nan, misshape.

    Attributes:
        asked: how often each was asked while it was at fault.
    """

    def __init__(self) -> None:
        self.by_version: dict[str, str] = {}
        self.asked: dict[str, int] = {}
        self.over = threading.Event()
        self._turn = threading.Condition()

    def let_the_slow_go(self) -> None:
        """Those that are slow answer now what they were asked before."""
        with self._turn:
            self._turn.notify_all()

    def befall(self, version: str, answer: Callable[[], dict[str, Array]]) -> dict[str, Array]:
        """What the version does, which would answer so."""
        fault = self.by_version.get(version, "")
        if fault:
            self.asked[version] = self.asked.get(version, 0) + 1
        if fault == "hang":
            self.over.wait()
        elif fault == "slow":
            with self._turn:
                self._turn.wait()
        elif fault == "crash":
            raise ZeroDivisionError(version)
        elif fault == "nan":
            return {name: np.full_like(array, np.nan) for name, array in answer().items()}
        elif fault == "misshape":
            return {name: array[:, :-1] for name, array in answer().items()}
        return answer()


class Faulty:
    """A servable that breaks when it is told to."""

    def __init__(self, version: str, inner: Servable, faults: Faults) -> None:
        self._version, self._inner, self._faults = version, inner, faults

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        return self._faults.befall(self._version, lambda: self._inner.predict(inputs, outputs))

    def close(self) -> None:
        self._inner.close()


class FaultyLoader(OnnxLoader):
    """Loads ONNX models as servables that break when they are told to."""

    faults: Faults

    def load(self, directory: Path) -> LoadedModel:
        model = super().load(directory)
        version = f"{directory.parent.name}@{directory.name}"
        servables = {name: Faulty(version, inner, self.faults) for name, inner in model.servables.items()}
        return LoadedModel(signatures=model.signatures, servables=servables)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    """Whatever loads ONNX models while this lasts loads such as break when they are told to."""
    faults = Faults()
    monkeypatch.setattr(FaultyLoader, "faults", faults, raising=False)
    monkeypatch.setattr("fairlead.app.models.OnnxLoader", FaultyLoader)
    yield faults
    faults.over.set()
    faults.let_the_slow_go()


@pytest.fixture
def settings(tmp_path: Path, store: WritableStore) -> Settings:
    """A store with three versions of a model that knows digits: two answer 3, the third answers 7."""
    for digit in (3, 3, 7):
        publish_digit(store, "digits", digit)
    store.promote(ServableId("digits", 1), why="")
    return Settings(home=tmp_path / "home", store=store.root)


class Plane:
    """What answers requests, on free ports of REST and gRPC, until it is stopped."""

    def __init__(self, settings: Settings) -> None:
        self._sockets = {name: open_socket("127.0.0.1", 0) for name in ("rest", "grpc")}
        self.port, self.grpc_port = (sock.getsockname()[1] for sock in self._sockets.values())
        self._settings = settings
        self.metrics = ServiceMetrics(Memory.make(1).pieces, home=0)
        self._is_open = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self._thread.start()
        assert self._is_open.wait(20)
        deadline = time.monotonic() + 20
        while not self._plane.readiness().is_ready:
            assert time.monotonic() < deadline, self._plane.readiness()
            time.sleep(0.01)

    async def _serve(self) -> None:
        async with AsyncExitStack() as lifetimes:
            meter = Meter(Ledger.make())
            self._plane = DataPlane(self._settings, self._sockets, self.metrics, None, lifetimes, meter=meter)
            self._loop = asyncio.get_running_loop()
            self._is_open.set()
            await self._plane.serve()

    def post(self, path: str, body: bytes = BODY, connection: HTTPConnection | None = None) -> tuple[int, Any]:
        """Status and decoded JSON of one request."""
        if connection is None:
            with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as fresh:
                return self.post(path, body, fresh)
        connection.request("POST", path, body)
        response = connection.getresponse()
        return response.status, json.loads(response.read())

    def wait_for(self, model: str, version: int) -> None:
        """Return once that is the version that answers."""
        deadline = time.monotonic() + 20
        while self._plane.readiness().models.get(model) != version:
            assert time.monotonic() < deadline, self._plane.readiness()
            time.sleep(0.01)

    def rows(self, family: str) -> dict[tuple[str, ...], float]:
        """What was counted of a family, by its label values."""
        return {labels: cells[0] for labels, cells in self.metrics.instruments.totals()[family].items()}

    def stop(self) -> None:
        """Leave at once."""
        for _ in range(2):
            self._loop.call_soon_threadsafe(self._plane.drain)
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def start_plane(settings: Settings) -> Iterator[Callable[..., Plane]]:
    """Starts a data plane over the store as it is, with the fixture's settings or others."""
    planes: list[Plane] = []

    def start(other: Settings | None = None) -> Plane:
        planes.append(Plane(other or settings))
        return planes[-1]

    yield start
    for plane in planes:
        plane.stop()


Publish = Callable[..., None]


@pytest.fixture
def publish(settings: Settings) -> Publish:
    """Publishes a graph of versions, of which digits@2 has a short deadline by default; other fields by name."""

    def publish(
        name: str, kind: str, *versions: str, deadlines: Mapping[str, float] = DEADLINES, **fields: Any
    ) -> None:
        members = [{"version": version, "deadline_ms": deadlines.get(version, 5000)} for version in versions]
        spec = GraphSpec.from_json({"kind": kind, "members": members} | fields)
        assert publish_graph(settings, name, spec).version is not None

    return publish


GraphOf = Callable[..., tuple[GraphServable, Instruments]]


@pytest.fixture
def graph_of() -> Iterator[GraphOf]:
    """Makes graphs of functions, see `make_graph`, and closes them."""
    made: list[GraphServable] = []

    def graph_of(*arguments: Any, **options: Any) -> tuple[GraphServable, Instruments]:
        graph, instruments = make_graph(*arguments, **options)
        made.append(graph)
        return graph, instruments

    yield graph_of
    for graph in made:
        graph.close()
