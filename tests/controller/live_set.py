"""A store, a database and a registry in use, to be backed up."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from fairlead.controller.backup import Places
from fairlead.controller.journal import Action, Journal
from fairlead.database.engine import migrate, open_engine
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.store import Store
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE

NOW = datetime(2026, 3, 2, 2, tzinfo=UTC)


@dataclass
class LiveSet:
    """What serves and decides, under one directory."""

    root: Path
    url: str

    @property
    def places(self) -> Places:
        """All of it."""
        return Places(store=self.root / "store", database_url=self.url, registry=self.root / "mlflow.db")

    @property
    def store(self) -> WritableStore:
        """The model store."""
        return WritableStore(self.root / "store", now=lambda: NOW, who="tester")

    def publish(self, model: str = "digits", size: int = 5000) -> int:
        """Publish the next version, of random bytes, and release it."""
        source = self.root / "weights"
        source.write_bytes(os.urandom(size))

        def describe(version: int, digests: dict[str, str]) -> Manifest:
            return Manifest(
                model=model,
                version=version,
                runtime="onnx",
                signature=DIGIT_SIGNATURE,
                labels=(),
                files=digests,
                created_at=NOW,
            )

        version = self.store.publish(model, {"model.onnx": source, "golden.npz": source}, describe).manifest.version  # type: ignore[arg-type] # digests of a test
        self.store.promote(ServableId(model, version), why="")
        return version

    def note(self, why: str, engine: Engine | None = None) -> None:
        """Write to the journal and to the registry."""
        own = engine or open_engine(self.url)
        migrate(own)
        Journal(own, now=lambda: NOW, who="tester").write(Action.HELD, model="digits", why=why)
        if engine is None:
            own.dispose()
        with closing(sqlite3.connect(self.root / "mlflow.db")) as registry, registry:
            registry.execute("CREATE TABLE IF NOT EXISTS notes (why TEXT)")
            registry.execute("INSERT INTO notes VALUES (?)", (why,))

    def notes(self) -> tuple[set[str], set[str]]:
        """What the journal and the registry hold."""
        engine = open_engine(self.url)
        entries = {entry.why for entry in Journal(engine, now=lambda: NOW, who="tester").read(limit=10_000)}
        engine.dispose()
        with closing(sqlite3.connect(self.root / "mlflow.db")) as registry:
            return entries, {why for (why,) in registry.execute("SELECT why FROM notes")}

    def check_store(self) -> dict[str, tuple[int, ...]]:
        """The versions by model, after looking at every byte, and at the release and its history."""
        store = Store(self.root / "store")
        found = {model: store.versions(model) for model in store.models()}
        for model, versions in found.items():
            release = store.release(model)
            assert release is not None
            assert release.stable in versions
            assert [entry.revision for entry in store.history(model)] == list(range(1, release.revision + 1))
            for version in versions:
                store.open(ServableId(model, version))
        return found
