"""What a published version says of itself: `manifest.json`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.servable.graph.spec import GraphSpec
from fairlead.servable.identity import ServableId, check_model_name
from fairlead.servable.signature import DEFAULT_SIGNATURE, Signature

__all__ = ["SCHEMA_VERSION", "Cost", "Manifest"]

SCHEMA_VERSION = 1
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one copy of the version costs, measured in a process of its own when it was published.

    Attributes:
        peak_memory_bytes: how far the process's peak resident memory rose while it loaded and answered.
        ms_per_row: median milliseconds for one row, alone, on one thread.
    """

    peak_memory_bytes: int
    ms_per_row: float

    def to_json(self) -> dict[str, Any]:
        return {"peak_memory_bytes": self.peak_memory_bytes, "ms_per_row": self.ms_per_row}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Cost:
        return Cost(peak_memory_bytes=int(data["peak_memory_bytes"]), ms_per_row=float(data["ms_per_row"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One immutable version of a model.

    Attributes:
        model, version: who it is; the directory's own name must agree.
        runtime: which Loader reads it ("onnx" or "tensorflow"); "graph" for one that is made of other versions.
        signature: its named inputs and outputs; of several signatures the one that answers.
        labels: the classes' names in the order of the output's last axis; empty when it is no classifier.
        transform: how a raw picture or text becomes the input tensor; empty when there is none.
        files: SHA-256 (hex) of every file of the version but the manifest itself.
        metrics: figures on held-out rows.
        gate: the verdict and the checks behind it.
        lineage: where it came from (run, data digest, code revision, library versions).
        cost: None when it was not measured.
        created_at: when it was made, in UTC.
        latency_objective_ms: what a caller may expect of one row.
        signatures: all of them by name, where the model has names for them; see `named_signatures`.
        init_op: the operation that TensorFlow ran after it loaded the model; its clients are shown it.
        graph: which versions it is made of, and how; None for a model of its own.
    """

    model: str
    version: int
    runtime: str
    signature: Signature
    labels: tuple[str, ...]
    files: Mapping[str, str]
    created_at: datetime
    transform: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    gate: Mapping[str, Any] = field(default_factory=dict)
    lineage: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost | None = None
    latency_objective_ms: float = 50.0
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    init_op: str = ""
    graph: GraphSpec | None = None

    def __post_init__(self) -> None:
        check_model_name(self.model)
        if self.version < 0:
            raise FairleadError(Code.INVALID_ARGUMENT, f"version {self.version} is negative")
        if self.created_at.tzinfo is None:
            raise FairleadError(Code.INVALID_ARGUMENT, f"created_at {self.created_at} has no time zone")
        for name, digest in self.files.items():
            if not _FILE.fullmatch(name) or not _SHA256.fullmatch(digest):
                raise FairleadError(Code.INVALID_ARGUMENT, f"{name!r}: {digest!r} is not a file name and its SHA-256")

    @property
    def id(self) -> ServableId:
        return ServableId(self.model, self.version)

    @property
    def members(self) -> tuple[ServableId, ...]:
        """The versions that it is made of, which are loaded with it; none for a model of its own."""
        return tuple(named.id for named in self.graph.versions) if self.graph is not None else ()

    @property
    def named_signatures(self) -> Mapping[str, Signature]:
        """Every signature by the name that a caller may ask for."""
        return self.signatures or {DEFAULT_SIGNATURE: self.signature}

    def encode(self) -> bytes:
        """The bytes of `manifest.json`."""
        body: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "model": self.model,
            "version": self.version,
            "runtime": self.runtime,
            "created_at": self.created_at.astimezone(UTC).isoformat(timespec="seconds"),
            "signature": self.signature.to_json(),
            "labels": list(self.labels),
            "transform": dict(self.transform),
            "files": dict(sorted(self.files.items())),
            "metrics": dict(self.metrics),
            "gate": dict(self.gate),
            "lineage": dict(self.lineage),
            "cost": self.cost.to_json() if self.cost else None,
            "latency_objective_ms": self.latency_objective_ms,
        }
        if self.signatures:
            body["signatures"] = {name: signature.to_json() for name, signature in self.signatures.items()}
        if self.graph is not None:
            body["graph"] = self.graph.to_json()
        body["seal"] = _seal(body)
        return json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"

    @staticmethod
    def decode(data: bytes, where: str = "manifest.json") -> Manifest:
        """Read `manifest.json`; `where` names it in errors.

        Raises:
            FairleadError: DATA_LOSS when it is no manifest, FAILED_PRECONDITION when a newer Fairlead wrote it.
        """
        try:
            body = json.loads(data)
            schema = body["schema_version"]
            seal = body.pop("seal", None)
            manifest = _from_json(body) if schema == SCHEMA_VERSION else None
            if manifest is not None:
                _check_seal(body, seal)
        except FairleadError as error:
            raise FairleadError(Code.DATA_LOSS, f"{where} is not a manifest: {error.message}") from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise FairleadError(
                Code.DATA_LOSS, f"{where} is not a manifest: {type(error).__name__}: {error}"
            ) from error
        if manifest is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"{where} has schema version {schema!r}; this Fairlead reads {SCHEMA_VERSION}",
                hint="pip install --upgrade fairlead",
            )
        return manifest


def _seal(body: Mapping[str, Any]) -> str:
    """The SHA-256 of what a manifest says. It finds damage; who wants to can compute it anew, and needs a signature."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _check_seal(body: Mapping[str, Any], seal: object) -> None:
    """Raise ValueError when what a manifest says was changed; the first ones that were written have no seal."""
    if seal is not None and seal != _seal(body):
        raise ValueError("it was changed after it was written")


def _from_json(body: Mapping[str, Any]) -> Manifest:
    return Manifest(
        model=str(body["model"]),
        version=int(body["version"]),
        runtime=str(body["runtime"]),
        signature=Signature.from_json(body["signature"]),
        labels=tuple(str(label) for label in body["labels"]),
        files={str(name): str(digest) for name, digest in body["files"].items()},
        created_at=datetime.fromisoformat(body["created_at"]),
        transform=dict(body["transform"]),
        metrics={str(name): float(value) for name, value in body["metrics"].items()},
        gate=dict(body["gate"]),
        lineage=dict(body["lineage"]),
        cost=Cost.from_json(body["cost"]) if body["cost"] else None,
        latency_objective_ms=float(body["latency_objective_ms"]),
        # Manifests written before a model could have several lack them.
        signatures={str(name): Signature.from_json(data) for name, data in body.get("signatures", {}).items()},
        graph=GraphSpec.from_json(body["graph"]) if "graph" in body else None,
    )
