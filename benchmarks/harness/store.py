"""The networks as Fairlead gets them: published and released in a model store."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import onnxruntime

from benchmarks.harness.networks import CLASSES, INPUT, OUTPUT, SHAPE, Network
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.servable.signature import Signature, TensorSpec
from fairlead.store.writable_store import WritableStore

__all__ = ["open_store", "publish"]

_SIGNATURE = Signature(
    inputs=(TensorSpec(name=INPUT, dtype="float32", shape=(-1, *SHAPE)),),
    outputs=(TensorSpec(name=OUTPUT, dtype="float32", shape=(-1, CLASSES)),),
)


def open_store(root: Path) -> WritableStore:
    """A store to publish into."""
    return WritableStore(root, now=lambda: datetime.now(UTC), who="benchmarks")


def publish(store: WritableStore, network: Network) -> None:
    """Publish the network with golden inputs of its own, and make it the stable version."""

    def describe(version: int, files: Mapping[str, str]) -> Manifest:
        return Manifest(
            model=network.name,
            version=version,
            runtime="onnx",
            signature=_SIGNATURE,
            labels=(),
            files=files,
            created_at=datetime.now(UTC),
        )

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network.write(folder / MODEL_FILE)
        session = onnxruntime.InferenceSession(folder / MODEL_FILE, providers=["CPUExecutionProvider"])
        rows = network.rows(3)
        golden = Golden(inputs={INPUT: rows}, outputs={OUTPUT: session.run([OUTPUT], {INPUT: rows})[0]})
        golden.save(folder / GOLDEN_FILE)
        version = store.publish(network.name, {path.name: path for path in folder.iterdir()}, describe)
    store.promote(version.manifest.id, why="")
