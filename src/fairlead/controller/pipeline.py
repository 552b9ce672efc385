"""One pass from data to a published version: check the data, train, gate, publish, register, release the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fairlead.controller.mirror import mirror
from fairlead.controller.recording import Recording
from fairlead.controller.workspace import workspace
from fairlead.errors import Code, FairleadError
from fairlead.gate.checks import check_data, check_model
from fairlead.gate.evidence import DataEvidence, ModelEvidence
from fairlead.gate.table import table
from fairlead.gate.thresholds import Thresholds
from fairlead.gate.verdict import Report, Verdict
from fairlead.servable.cost import measure
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE
from fairlead.store.release import Release
from fairlead.store.store import Version
from fairlead.store.writable_store import WritableStore
from fairlead.training.dataset import Dataset, Rows, Split, class_counts, non_finite, overlap, row_digests
from fairlead.training.plots import confusion_matrix_png
from fairlead.training.recipe import Recipe, Sources
from fairlead.training.registry import Registry
from fairlead.training.run import Profile, Run
from fairlead.training.trainer import Candidate, answers, train

__all__ = ["MoreRows", "Outcome", "Pipeline", "Train"]

MoreRows = Callable[[str, tuple[str, ...], Rows], Rows]
"""Rows to learn from besides a recipe's: of the model of that name, with its labels, each of that shape."""

Train = Callable[[Recipe, Dataset, Split, Run, Path], Candidate]
"""Makes a candidate in an empty directory, as `trainer.train` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one pass came to.

    Attributes:
        report: every check that was made.
        version: what was published; None unless the gate passed.
        release: the release in force afterwards; None when nothing was ever released.
        metrics: figures on held-out rows; empty when nothing was trained.
    """

    report: Report
    version: Version | None
    release: Release | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """Turns a recipe into a published version, or into a report of why not.

    Attributes:
        recipe: how the model is made.
        store: where versions go.
        registry: where the run and the version are recorded; None for nowhere.
        home: holds the work in progress and the TensorBoard logs.
        sources: where the recipe may take data from.
        thresholds: where the gate's checks draw their lines.
        now: the clock.
        say: tells the user one line.
        lineage: what else the manifest says of where the version comes from.
        train: trains the model.
        more_rows: gives rows to learn from besides the recipe's, such as labelled predictions; None for none.
    """

    recipe: Recipe
    store: WritableStore
    registry: Registry | None
    home: Path
    sources: Sources
    thresholds: Thresholds
    now: Callable[[], datetime]
    say: Callable[[str], None]
    lineage: Mapping[str, str] = field(default_factory=dict)
    train: Train = train
    more_rows: MoreRows | None = None

    def run(self, profile: Profile, seed: int) -> Outcome:
        """Make one pass. Nothing is published and the champion stays unless every check passes.

        Raises:
            FairleadError: when the data cannot be read, the recipe fails, or the store cannot be written.
        """
        name = f"{self.recipe.name}-{self.now():%Y%m%d-%H%M%S}"
        recording = Recording(self.registry, self.say)
        recording.start(self.recipe.name, name, {"profile": profile.name, "seed": str(seed)})
        try:
            with workspace(self.home / "work") as work:
                outcome = self._pass(name, recording, profile, seed, work)
        except BaseException:
            recording.close("FAILED")
            raise
        recording.text("gate.txt", table(outcome.report))
        recording.close("FINISHED" if outcome.version else "FAILED")
        self._mirror()
        return outcome

    def _pass(self, name: str, recording: Recording, profile: Profile, seed: int, work: Path) -> Outcome:
        dataset = self._with_more(self.recipe.load(self.sources))
        split = _split(self.recipe, dataset, seed)
        report = check_data(_count(self.recipe, split), self.thresholds)
        if report.verdict is not Verdict.PASSED:
            return self._refused(report, {})
        run = Run(seed=seed, profile=profile, log_dir=self.home / "tensorboard" / name, sink=recording)
        candidate = self.train(self.recipe, dataset, split, run, work)
        self._record(recording, candidate)
        judged = check_model(self._evidence(candidate, split.held_out), self.thresholds)
        report = Report(checks=report.checks + judged.checks)
        if report.verdict is not Verdict.PASSED:
            return self._refused(report, candidate.metrics)
        version = self._publish(candidate, report, recording.run_id)
        return Outcome(report=report, version=version, release=self._release_first(version), metrics=candidate.metrics)

    def _with_more(self, dataset: Dataset) -> Dataset:
        """The data set with more rows to learn from. What is judged on stays as it is, and none of it is learnt."""
        if self.more_rows is None:
            return dataset
        more = self.more_rows(self.recipe.name, self.recipe.labels, dataset.train)
        held_out = set(row_digests(dataset.held_out))
        more = more.take(np.array([digest not in held_out for digest in row_digests(more)], np.bool_))
        self.say(f"{len(more):,} labelled predictions join the training rows")
        return replace(
            dataset, train=dataset.train.joined(more), origin={**dataset.origin, "labelled_predictions": len(more)}
        )

    def _refused(self, report: Report, metrics: Mapping[str, float]) -> Outcome:
        return Outcome(report=report, version=None, release=self.store.release(self.recipe.name), metrics=metrics)

    def _evidence(self, candidate: Candidate, held_out: Rows) -> ModelEvidence:
        evidence = ModelEvidence(
            labels=candidate.labels,
            truth=candidate.truth,
            candidate=candidate.exported,
            native=candidate.native,
            champion=None,
            champion_name="",
            signature=candidate.signature,
            champion_signature=None,
        )
        release = self.store.release(self.recipe.name)
        if release is None:
            return evidence
        champion = self.store.open(ServableId(self.recipe.name, release.stable))
        return replace(
            evidence,
            champion=_ask(champion, held_out, candidate),
            champion_name=str(champion.manifest.id),
            champion_signature=champion.manifest.signature,
            champion_labels=champion.manifest.labels,
        )

    def _publish(self, candidate: Candidate, report: Report, run_id: str) -> Version:
        cost = measure(candidate.directory)

        def describe(version: int, files: Mapping[str, str]) -> Manifest:
            return Manifest(
                model=self.recipe.name,
                version=version,
                runtime="onnx",
                signature=candidate.signature,
                labels=candidate.labels,
                files=files,
                created_at=self.now(),
                transform=candidate.transform.to_json() if candidate.transform else {},
                metrics=candidate.metrics,
                gate=report.to_json(),
                lineage={**candidate.lineage, **self.lineage, "run_id": run_id},
                cost=cost,
            )

        files = {path.name: path for path in sorted(candidate.directory.iterdir())}
        return self.store.publish(self.recipe.name, files, describe)

    def _release_first(self, version: Version) -> Release | None:
        """Serve the first version at once; a later one waits as challenger for its promotion."""
        try:
            return self.store.promote(version.manifest.id, why="the first version that passed the gate", expected=0)
        except FairleadError as error:
            if error.code is not Code.ABORTED:
                raise
            return self.store.release(self.recipe.name)

    def _record(self, recording: Recording, candidate: Candidate) -> None:
        predicted = candidate.exported.argmax(axis=1).astype(np.int64)
        picture = confusion_matrix_png(
            candidate.truth, predicted, candidate.labels, f"{self.recipe.name}, held-out rows"
        )
        recording.picture("confusion_matrix.png", picture)
        recording.metrics(0, {f"held_out_{name}": value for name, value in candidate.metrics.items()})
        data = candidate.lineage["data"]
        recording.tags(
            {
                "data_sha256": data["sha256"],
                "data_source": data["source"],
                "code_revision": candidate.lineage["code_revision"],
            }
        )

    def _mirror(self) -> None:
        if self.registry is None:
            return
        try:
            mirror(self.registry, self.store, self.recipe.name)
        except FairleadError as error:
            if error.code is not Code.UNAVAILABLE:
                raise
            self.say(f"the registry is behind the store: {error.message}; the next command that can reach it mends it")


def _split(recipe: Recipe, dataset: Dataset, seed: int) -> Split:
    """The recipe's split; where a side is empty there is nothing to split, and the gate says so."""
    if len(dataset.train) and len(dataset.held_out):
        return recipe.split(dataset, seed)
    nothing = dataset.train.take(np.zeros(len(dataset.train), np.bool_))
    return Split(train=dataset.train, validation=nothing, held_out=dataset.held_out)


def _count(recipe: Recipe, split: Split) -> DataEvidence:
    classes = len(recipe.labels)
    parts = (split.train, split.validation, split.held_out)
    return DataEvidence(
        labels=recipe.labels,
        train_counts=class_counts(split.train, classes),
        held_out_counts=class_counts(split.held_out, classes),
        overlap=overlap(split),
        non_finite=sum(non_finite(rows) for rows in parts),
    )


def _ask(champion: Version, held_out: Rows, candidate: Candidate) -> NDArray[np.float32] | None:
    """The champion's answers; None where it takes other inputs or has other classes."""
    manifest = champion.manifest
    is_alike = manifest.signature.inputs == candidate.signature.inputs and manifest.labels == candidate.labels
    if not is_alike or len(manifest.signature.outputs) != 1:
        return None
    return answers(champion.directory / MODEL_FILE, held_out)
