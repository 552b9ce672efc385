"""Training runs as the console shows them, read from the registry."""

from __future__ import annotations

import importlib.util
import math
import threading
from typing import TYPE_CHECKING, Any

from fairlead.app.releases import open_registry
from fairlead.config import Settings
from fairlead.console.ports import Document
from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store

if TYPE_CHECKING:
    from fairlead.training.registry import Registry, RunRecord

__all__ = ["LiveTraining"]

_MOST_CURVES = 24
_HELD_OUT = "held_out_"
_OWN_TAGS = ("profile", "seed", "data_source", "data_sha256", "code_revision")


class LiveTraining:
    """A `TrainingView` of the registry. It is opened when somebody asks: MLflow takes a second and some memory.

    Args:
        settings: say where the registry is.
        store: knows which version a run made.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._lock = threading.Lock()
        self._registry: Registry | None = None

    def runs(self, model: str) -> Document:
        registry = self._open()
        runs = registry.runs(model) if registry is not None else ()
        versions = self._versions(model)
        return {"model": model, "runs": [_told(one, versions) for one in runs]}

    def run(self, id_: str) -> Document:
        registry = self._open()
        found = registry.run(id_) if registry is not None else None
        if registry is None or found is None:
            raise FairleadError(Code.NOT_FOUND, f"there is no run {id_[:80]!r}", hint="fairlead train MODEL makes one")
        names = [name for name in sorted(found.metrics) if not name.startswith(_HELD_OUT)][:_MOST_CURVES]
        curves = {name: registry.curve(found.id, name) for name in names}
        return {
            **_told(found, self._versions(found.model)),
            "curves": {
                name: [list(point) for point in curve if math.isfinite(point[1])] for name, curve in curves.items()
            },
        }

    def _open(self) -> Registry | None:
        """The registry; None where there is none to be read. Looking makes none."""
        with self._lock:
            is_there = bool(self._settings.tracking_uri) or (self._settings.home / "mlflow.db").exists()
            if self._registry is None and is_there and importlib.util.find_spec("mlflow") is not None:
                self._registry = open_registry(self._settings)
            return self._registry

    def _versions(self, model: str) -> dict[str, int]:
        """Which version each run made."""
        made: dict[str, int] = {}
        for version in self._store.versions(model):
            try:
                made[str(self._store.manifest(ServableId(model, version)).lineage.get("run_id"))] = version
            except FairleadError:
                continue
        return made


def _told(run: RunRecord, versions: dict[str, int]) -> dict[str, Any]:
    finite = {name: value for name, value in run.metrics.items() if math.isfinite(value)}
    return {
        "run": run.id,
        "name": run.name,
        "model": run.model,
        "status": run.status.lower(),
        "started_us": run.started_ms * 1000,
        "took_s": None if run.ended_ms is None else (run.ended_ms - run.started_ms) / 1000,
        "version": versions.get(run.id),
        "metrics": finite,
        "held_out": {
            name.removeprefix(_HELD_OUT): value for name, value in finite.items() if name.startswith(_HELD_OUT)
        },
        "params": dict(run.params),
        "tags": {name: run.tags[name] for name in _OWN_TAGS if name in run.tags},
    }
