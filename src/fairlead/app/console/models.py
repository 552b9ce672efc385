"""Models as the console shows them, read from the store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fairlead.console.ports import Document
from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.release import Release, earlier_stables
from fairlead.store.store import Store

__all__ = ["LiveModels"]

_MOST_FIELDS, _MOST_RELEASES = 200, 100


class LiveModels:
    """A `ModelsView` of a store.

    Args:
        store: where the versions are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def models(self) -> Document:
        return {"models": [self._row(model) for model in self._store.models()]}

    def model(self, model: str) -> Document:
        self._require(model)
        release, problem = self._release(model)
        history = self._store.history(model)
        earlier = earlier_stables(history)
        return {
            "model": model,
            "problem": problem,
            "release": release and _told(release),
            "versions": [
                self._version(ServableId(model, version), release) for version in reversed(self._store.versions(model))
            ],
            "unfinished": list(self._store.unfinished(model)),
            "earlier": list(earlier),
            "history": [_told(one) for one in reversed(history[-_MOST_RELEASES:])],
            "releases": len(history),
        }

    def version(self, model: str, version: int) -> Document:
        id_ = ServableId(model, version)
        manifest = self._store.manifest(id_)
        release, _ = self._release(model)
        return {
            **_summary(manifest, release),
            "model": model,
            "metrics": dict(manifest.metrics),
            "gate": dict(manifest.gate),
            "lineage": _flat(manifest.lineage),
            "graph": _graph(manifest),
            "signatures": {name: one.to_json() for name, one in manifest.named_signatures.items()},
            "labels": list(manifest.labels),
            "transform": _flat(manifest.transform),
            "files": dict(manifest.files),
            "cost": manifest.cost and manifest.cost.to_json(),
            "latency_objective_ms": manifest.latency_objective_ms,
            "others": [other for other in reversed(self._store.versions(model)) if other != version],
        }

    def compare(self, model: str, left: int, right: int) -> Document:
        manifests = [self._store.manifest(ServableId(model, version)) for version in (left, right)]
        first, second = (_comparable(manifest) for manifest in manifests)
        parts = [
            {"name": name, "rows": [_pair(key, first[name], second[name]) for key in {**first[name], **second[name]}]}
            for name in first
        ]
        return {
            "model": model,
            "left": left,
            "right": right,
            "parts": parts,
            "versions": list(reversed(self._store.versions(model))),
        }

    def _row(self, model: str) -> dict[str, Any]:
        """What serves of a model, and since when."""
        release, problem = self._release(model)
        versions = self._store.versions(model)
        return {
            "model": model,
            "problem": problem,
            "versions": len(versions),
            "newest": versions[-1] if versions else None,
            "release": release and _told(release),
        }

    def _require(self, model: str) -> None:
        if model not in self._store.models():
            raise self._store.no_model(model)

    def _release(self, model: str) -> tuple[Release | None, str]:
        """What should serve, and why that cannot be told."""
        try:
            return self._store.release(model), ""
        except FairleadError as error:
            return None, error.message

    def _version(self, id_: ServableId, release: Release | None) -> dict[str, Any]:
        try:
            return {**_summary(self._store.manifest(id_), release), "problem": ""}
        except FairleadError as error:
            return {"version": id_.version, "serves_as": _roles(id_.version, release), "problem": error.message}


def _told(release: Release) -> dict[str, Any]:
    return {
        "revision": release.revision,
        "stable": release.stable,
        "candidate": release.candidate and release.candidate.to_json(),
        "labels": dict(release.labels),
        "who": release.who,
        "why": release.why,
        "at_us": int(release.at.timestamp() * 1e6),
        "evidence": dict(release.evidence),
    }


def _roles(version: int, release: Release | None) -> list[str]:
    """What the version serves as."""
    if release is None:
        return []
    roles = ["stable"] if release.stable == version else []
    if release.candidate is not None and release.candidate.version == version:
        roles.append(str(release.candidate.mode))
    return [*roles, *(label for label, meant in release.labels.items() if meant == version)]


def _summary(manifest: Manifest, release: Release | None) -> dict[str, Any]:
    data = manifest.lineage.get("data")
    return {
        "version": manifest.version,
        "serves_as": _roles(manifest.version, release),
        "accuracy": manifest.metrics.get("accuracy"),
        "verdict": str(manifest.gate.get("verdict", "")),
        "created_us": int(manifest.created_at.timestamp() * 1e6),
        "source": str(data.get("source", "")) if isinstance(data, Mapping) else "",
        "runtime": manifest.runtime,
        "run": str(manifest.lineage.get("run_id", "")),
    }


def _comparable(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """What two versions are compared by, in parts."""
    checks = manifest.gate.get("checks", ())
    signatures = {name: one.to_json() for name, one in manifest.named_signatures.items()}
    return {
        "Metrics": dict(manifest.metrics),
        "Cost": manifest.cost.to_json() if manifest.cost else {},
        "Gate": {str(check["name"]): check["figure"] for check in checks if check.get("figure") is not None},
        "Lineage": _flat(manifest.lineage),
        "Graph": _graph(manifest),
        "Interface": {
            "runtime": manifest.runtime,
            "labels": ", ".join(manifest.labels),
            **_flat(signatures),
            **_flat(manifest.transform),
        },
        "Files": dict(manifest.files),
    }


def _graph(manifest: Manifest) -> dict[str, Any]:
    """What a graph declares; nothing of a model of its own."""
    declared = _flat(manifest.graph.to_json()) if manifest.graph is not None else {}
    return {name: value for name, value in declared.items() if value is not None and not name.endswith(".manifest")}


def _pair(key: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    before, after = left.get(key), right.get(key)
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (before, after))
    return {
        "key": key,
        "left": before,
        "right": after,
        "is_same": key in left and key in right and before == after,
        "change": after - before if is_number and before is not None and after is not None else None,
    }


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A tree as one level: `data.source` for what is at `source` in `data`; lists as their items' texts."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            found |= _flat({str(place): item for place, item in enumerate(value)}, f"{name}.")
        else:
            found[name] = value
    return dict(list(found.items())[:_MOST_FIELDS])
