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
from fairlead.telemetry import LoadMetrics


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
    registry = CollectorRegistry()
    unloaded: list[ServableId] = []
    manager = Manager(
        StoreSource(store),
        VersionLoader(store, {"onnx": OnnxLoader()}),
        metrics=LoadMetrics(registry),
        poll_interval_s=0.01,
        on_unloaded=unloaded.append,
    )
    yield World(store=store, manager=manager, registry=registry, unloaded=unloaded)
    manager.stop()
