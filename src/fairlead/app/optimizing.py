"""What `fairlead optimize` runs: candidates made of a version, measured beside it, judged, the best one published."""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.app.judged_rows import JudgedRows
from fairlead.app.optimization import Candidate, Optimization
from fairlead.app.releases import find_version, follow, now, open_writable_store
from fairlead.config import Settings
from fairlead.controller.workspace import workspace
from fairlead.errors import Code, FairleadError
from fairlead.gate.checks import check_optimized
from fairlead.gate.evidence import ModelEvidence, predicted_classes
from fairlead.gate.optimized import Margins, OptimizedEvidence, agreement, log_losses
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Report
from fairlead.optimization.method import Method, Source
from fairlead.optimization.methods import METHODS
from fairlead.optimization.pace import Pace, measure_pace
from fairlead.optimization.preparing import keep_metadata, prepare
from fairlead.servable.cost import measure
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE, open_model
from fairlead.servable.signature import Array, Signature
from fairlead.store import files
from fairlead.store.store import Version
from fairlead.store.writable_store import WritableStore
from fairlead.training.dataset import Rows, row_digests
from fairlead.training.reference import REFERENCE_FILE, describe
from fairlead.training.trainer import answers

__all__ = ["optimize"]


def optimize(
    settings: Settings,
    reference: str,
    rows_of: Callable[[Manifest], JudgedRows],
    *,
    margins: Margins,
    say: Callable[[str], None],
    methods: Sequence[Method] = METHODS,
) -> Optimization:
    """Try each method on a version, and publish the fastest of what the gate lets pass as the next one.

    It is not released: that is for `fairlead rollout` or `fairlead promote`.

    Args:
        settings: where the store is, and where there is room to work.
        reference: MODEL@VERSION, MODEL@LABEL, or MODEL for what serves.
        rows_of: finds the rows to calibrate and to judge by.
        margins: what may be lost and must be gained.
        say: tells the user one line.
        methods: what to try.

    Raises:
        FairleadError: when the version cannot be found, or is no classifier that can be judged.
    """
    store = open_writable_store(settings)
    version = store.open(find_version(store, reference))
    _check_original(version.manifest)
    rows = rows_of(version.manifest)
    with files.storage_errors(f"optimising {version.manifest.id}"), workspace(settings.home / "work") as work:
        trial = _Trial(version, rows, margins=margins, work=work, providers=settings.providers, say=say)
        done = trial.run(methods)
        best = max(
            (candidate for candidate in done.candidates if candidate.has_passed),
            key=lambda one: one.least_speedup,
            default=None,
        )
        if best is None:
            return done
        id_ = _publish(store, trial, best)
    follow(settings, store, id_.model, say)
    return replace(done, best=best.method, version=id_)


def _check_original(manifest: Manifest) -> None:
    """Raise unless what the version answers are probabilities of classes, in one output of an ONNX file."""
    outputs = manifest.signature.outputs
    if manifest.runtime != "onnx":
        raise FairleadError(
            Code.UNIMPLEMENTED, f"{manifest.id} runs on {manifest.runtime}; only ONNX files are optimised"
        )
    if len(outputs) != 1 or not manifest.labels or outputs[0].shape != (-1, len(manifest.labels)):
        told = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in outputs)
        raise FairleadError(
            Code.UNIMPLEMENTED,
            f"{manifest.id} gives {told} with {len(manifest.labels)} labels; what is judged is one output with a"
            " probability for each label",
        )


class _Trial:
    """The methods tried on one version."""

    def __init__(
        self,
        version: Version,
        rows: JudgedRows,
        *,
        margins: Margins,
        work: Path,
        providers: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        self.version = version
        self.rows = rows
        self._margins = margins
        self._work = work
        self._providers = providers
        self._say = say
        self._answers: dict[str, Array] = {}

    @property
    def manifest(self) -> Manifest:
        """The original's."""
        return self.version.manifest

    def file(self, method: str) -> Path:
        """What a method made."""
        return self._work / f"{method}.onnx"

    def answered(self, method: str) -> Array:
        """What that one answered to the rows that judge, shape (n, k)."""
        return self._answers[method]

    def run(self, methods: Sequence[Method]) -> Optimization:
        """Make, ask, measure and judge."""
        original = self.version.directory / MODEL_FILE
        theirs = answers(original, self.rows.judged)
        self.rows.check(theirs, self.manifest)
        troubles = self._make(original, methods)
        made = [method.name for method in methods if method.name not in troubles]
        tensors = self.rows.judged.tensors(self.manifest.signature)
        self._say(f"measuring {', '.join(made) or 'nothing else'} beside {self.manifest.id}, turn by turn on one core")
        paces = measure_pace([original, *(self.file(name) for name in made)], tensors, self._work, self._providers)
        judged = {
            name: self._judge(name, theirs, pace, _signature(self.file(name)))
            for name, pace in zip(made, paces[1:], strict=True)
        }
        return Optimization(
            original=self.manifest.id,
            rows=len(self.rows.judged),
            baseline=Candidate(
                method="original",
                pace=paces[0],
                size_bytes=original.stat().st_size,
                accuracy=_accuracy(theirs, self.rows.judged),
                agreement=1.0,
            ),
            candidates=tuple(
                judged.get(method.name, Candidate(method=method.name, trouble=troubles.get(method.name, "")))
                for method in methods
            ),
        )

    def _make(self, original: Path, methods: Sequence[Method]) -> dict[str, str]:
        """Let each method make its file, and ask that; why there is none, by method."""
        prepared = self._work / "prepared.onnx"
        prepare(original, prepared)
        calibration = self.rows.calibration.tensors(self.manifest.signature)
        source = Source(model=original, prepared=prepared, calibration=calibration)
        troubles = {}
        for method in methods:
            trouble = method.missing(self._providers)
            if not trouble:
                self._say(f"making {method.name}")
                try:
                    method.make(source, self.file(method.name))
                    keep_metadata(original, self.file(method.name))
                    self._answers[method.name] = answers(self.file(method.name), self.rows.judged)
                except Exception as error:  # noqa: BLE001 - of many kinds, from tools that do not know every operator
                    trouble = f"{type(error).__name__}: {error}".splitlines()[0]
            if trouble:
                troubles[method.name] = trouble
        return troubles

    def _judge(self, name: str, theirs: Array, pace: Pace, signature: Signature) -> Candidate:
        evidence = OptimizedEvidence(
            model=ModelEvidence(
                labels=self.manifest.labels,
                truth=self.rows.judged.labels,
                candidate=self._answers[name],
                native=theirs,
                champion=theirs,
                champion_name=str(self.manifest.id),
                signature=signature,
                champion_signature=self.manifest.signature,
                champion_labels=self.manifest.labels,
            ),
            speedup=pace.speedup,
        )
        return Candidate(
            method=name,
            pace=pace,
            size_bytes=self.file(name).stat().st_size,
            accuracy=_accuracy(self._answers[name], self.rows.judged),
            agreement=agreement(evidence),
            report=check_optimized(evidence, self._margins, Thresholds()),
        )


def _signature(path: Path) -> Signature:
    servable, signature = open_model(path)
    servable.close()
    return signature


def _accuracy(outputs: Array, rows: Rows) -> float:
    return float(np.mean(predicted_classes(outputs) == rows.labels))


def _publish(store: WritableStore, trial: _Trial, best: Candidate) -> ServableId:
    manifest, outputs, judged = trial.manifest, trial.answered(best.method), trial.rows.judged
    directory = trial.file(best.method).with_suffix("")
    directory.mkdir()
    trial.file(best.method).rename(directory / MODEL_FILE)
    _golden(trial.version.directory, directory / MODEL_FILE).save(directory / GOLDEN_FILE)
    words = _vocabulary(trial.version.directory / REFERENCE_FILE)
    reference = describe(judged, np.asarray(outputs, np.float32), manifest.labels, manifest.signature, words)
    (directory / REFERENCE_FILE).write_bytes(reference.encode())
    cost = measure(directory)
    report = best.report or Report(checks=())

    def describe_version(number: int, digests: Mapping[str, str]) -> Manifest:
        return replace(
            manifest,
            version=number,
            files=digests,
            created_at=now(),
            metrics=_metrics(outputs, judged),
            gate=report.to_json(),
            lineage={**manifest.lineage, "optimized": _lineage(trial, best)},
            cost=cost,
        )

    sources = {path.name: path for path in sorted(directory.iterdir())}
    return store.publish(manifest.model, sources, describe_version).manifest.id


def _vocabulary(reference: Path) -> frozenset[int]:
    """The words that the original's training knew, where it was one of texts."""
    return frozenset(json.loads(reference.read_bytes()).get("vocabulary", ())) if reference.exists() else frozenset()


def _golden(original: Path, model: Path) -> Golden:
    """The original's golden inputs, with what the optimised model answers.

    Not the original's answers: the gate has judged how far apart the two may be; a host that loads the file must get
    these, or its integers are other ones.
    """
    inputs = Golden.load(original / GOLDEN_FILE).inputs
    servable, _ = open_model(model)
    outputs = servable.predict(inputs)
    servable.close()
    return Golden(inputs=inputs, outputs=outputs)


def _metrics(outputs: Array, rows: Rows) -> Mapping[str, float]:
    is_right = predicted_classes(outputs) == rows.labels
    return {
        "accuracy": float(is_right.mean()),
        "worst_class_recall": min(float(is_right[rows.labels == label].mean()) for label in np.unique(rows.labels)),
        "log_loss": statistics.fmean(log_losses(outputs, rows.labels)),
        "held_out_rows": float(len(rows)),
    }


def _lineage(trial: _Trial, best: Candidate) -> Mapping[str, Any]:
    calibration = trial.rows.calibration
    return {
        "from_version": trial.manifest.version,
        "method": best.method,
        "calibration": {
            "source": trial.rows.source,
            "rows": len(calibration),
            "sha256": hashlib.sha256(b"".join(row_digests(calibration))).hexdigest(),
        },
        "measured_on": platform.processor() or platform.machine(),
        "figures": best.figures,
    }
