"""A manager over a real store, stepped by the tests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from fairlead.servable.identity import ServableId
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.serving.loading import VersionLoader
from fairlead.serving.manager import Manager
from fairlead.serving.source import StoreSource
from fairlead.store.writable_store import WritableStore
from fairlead.telemetry.exposition import registry_of
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.load import LoadMetrics


class Told(LoadMetrics):
    """Keeps what it was told of versions that went away."""

    def __init__(self, instruments: Instruments) -> None:
        super().__init__(instruments)
        self.gone: list[ServableId] = []

    def unloaded(self, model: str, version: int) -> None:
        super().unloaded(model, version)
        self.gone.append(ServableId(model, version))


@dataclass
class World:
    """A store, the manager that follows it, and what the manager told."""

    store: WritableStore
    manager: Manager
    registry: CollectorRegistry
    unloaded: list[ServableId] = field(default_factory=list)

    def wait(self, holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Return once `holds`; fail when it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert time.monotonic() < deadline, self.manager.readiness()
            time.sleep(0.005)

    def serving(self, model: str = "m") -> int | None:
        """The version of `model` that answers by default."""
        return self.manager.readiness().models.get(model)


@pytest.fixture
def world(store: WritableStore) -> Iterator[World]:
    """A manager that looks at the empty store every few milliseconds; started by the test."""
    store.root.mkdir()
    instruments = Instruments()
    metrics = Told(instruments)
    manager = Manager(
        StoreSource(store),
        VersionLoader(store, {"onnx": OnnxLoader()}),
        metrics=metrics,
        poll_interval_s=0.01,
    )
    yield World(store=store, manager=manager, registry=registry_of(instruments), unloaded=metrics.gone)
    manager.stop()
