"""Windows of held-out digits, plain or corrupted, and what drift and the estimate of accuracy say of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulations.picture_corruptions import SEVERITIES, Corruption, Pictures
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.drift.window import DriftReport, judge_window
from fairlead.monitoring.estimate import Estimate, estimate_accuracy
from fairlead.monitoring.reference_file import CONFIDENCE, PREDICTED, ReferenceFile
from fairlead.servable.features import FeatureExtractor
from fairlead.servable.identity import ServableId
from fairlead.servable.signature import Signature
from fairlead.store.store import Store
from fairlead.training.dataset import Rows
from fairlead.training.recipe import Sources, find_recipe
from fairlead.training.reference import describe
from fairlead.training.trainer import answers

__all__ = ["WINDOW_ROWS", "Judged", "Model", "Seen", "judge_plain", "judge_severity"]

WINDOW_ROWS = 500
_BATCH_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class Model:
    """A published version and the images that it never saw."""

    name: str
    path: Path
    signature: Signature
    labels: tuple[str, ...]
    held_out: Rows

    @staticmethod
    def newest(store: Path, data_dir: Path) -> Model:
        """The newest version of `digits` in the store."""
        shelf = Store(store)
        versions = shelf.versions("digits")
        if not versions:
            raise FairleadError(Code.NOT_FOUND, f"{store} has no digits", hint="fairlead train digits")
        version = shelf.open(ServableId("digits", versions[-1]))
        sources = Sources(data_dir=data_dir, cache_dir=store, say=lambda line: print(line, file=sys.stderr))
        return Model(
            name=str(version.manifest.id),
            path=version.directory / "model.onnx",
            signature=version.manifest.signature,
            labels=version.manifest.labels,
            held_out=find_recipe("digits").load(sources).held_out,
        )

    def see(self, pictures: Pictures) -> Seen:
        """What is logged of these rows."""
        extractor = FeatureExtractor.of(self.signature)
        assert extractor is not None  # noqa: S101 - pictures have features
        name = self.signature.inputs[0].name
        rows = Rows(inputs=pictures, labels=np.zeros(len(pictures), np.int64))  # what is asked has no labels
        starts = range(0, len(pictures), _BATCH_ROWS)
        measured = [extractor.measure({name: pictures[start : start + _BATCH_ROWS]}) for start in starts]
        return Seen(
            names=extractor.names,
            features=np.concatenate(measured).astype(np.float64),
            probabilities=np.asarray(answers(self.path, rows), np.float32),
        )

    def reference(self, rows: NDArray[np.int64], plain: Seen) -> ReferenceFile:
        """The reference of these of the held-out rows, written and read."""
        written = describe(self.held_out.take(rows), plain.probabilities[rows], self.labels, self.signature)
        return ReferenceFile.decode(written.encode())


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the log keeps of rows: features float64 [n, names] and probabilities float32 [n, classes]."""

    names: tuple[str, ...]
    features: NDArray[np.float64]
    probabilities: NDArray[np.float32]

    def take(self, rows: NDArray[np.int64]) -> Seen:
        return Seen(names=self.names, features=self.features[rows], probabilities=self.probabilities[rows])

    def mixed(self, other: Seen, is_other: NDArray[np.bool_]) -> Seen:
        """These rows, and the other's where the mask says so."""
        mask = is_other[:, np.newaxis]
        return Seen(
            names=self.names,
            features=np.where(mask, other.features, self.features),
            probabilities=np.where(mask, other.probabilities, self.probabilities),
        )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One window: what was said of it, and the truth.

    Attributes:
        moves: what a report of it has to name, with signs.
    """

    report: DriftReport
    estimate: Estimate
    accuracy: float
    moves: Mapping[str, int]

    @property
    def is_named(self) -> bool:
        """The report names all that moved, in the direction in which it moved."""
        effects = {found.feature: found.effect for found in self.report.features if found.is_drifted}
        return all(effects.get(name, 0.0) * sign > 0 for name, sign in self.moves.items())

    @property
    def is_close(self) -> bool:
        """The estimate is within 5 points of the truth."""
        return abs(self.estimate.value - self.accuracy) <= 0.05  # noqa: PLR2004 - the bar


def judge_plain(model: Model, plain: Seen, *, rounds: int, seed: int) -> Iterator[Judged]:
    """Windows of plain images: ten a round."""
    generator = np.random.default_rng(seed)
    for reference, windows in _rounds(model, plain, rounds, generator):
        for rows in windows:
            yield _judge(model, reference, plain.take(rows), model.held_out.labels[rows], {})


def judge_severity(
    model: Model, plain: Seen, corruption: Corruption, severity: str, *, rounds: int, seed: int
) -> Iterator[Judged]:
    """Windows of corrupted images, ten a round, each by one of the corruption's variants."""
    generator = np.random.default_rng(seed)
    level = corruption.levels[SEVERITIES.index(severity)]
    seen = [model.see(variant.apply(model.held_out.inputs, level)) for variant in corruption.variants]
    for reference, windows in _rounds(model, plain, rounds, generator):
        for number, rows in enumerate(windows):
            which = number % len(seen)
            window = seen[which].take(rows)
            if corruption.is_share:
                window = plain.take(rows).mixed(window, generator.random(len(rows)) < level)
            yield _judge(model, reference, window, model.held_out.labels[rows], corruption.variants[which].moves)


def _rounds(
    model: Model, plain: Seen, rounds: int, generator: np.random.Generator
) -> Iterator[tuple[ReferenceFile, list[NDArray[np.int64]]]]:
    """For each round the reference of one random half, and the other half in windows."""
    for _ in range(rounds):
        order = generator.permutation(len(model.held_out))
        half = len(order) // 2
        starts = range(half, len(order) - WINDOW_ROWS + 1, WINDOW_ROWS)
        yield model.reference(order[:half], plain), [order[start : start + WINDOW_ROWS] for start in starts]


def _judge(
    model: Model, reference: ReferenceFile, window: Seen, truth: NDArray[np.int64], moves: Mapping[str, int]
) -> Judged:
    predicted = window.probabilities.argmax(axis=1)
    confidence = window.probabilities.max(axis=1).astype(np.float64)
    features = dict(zip(window.names, window.features.T, strict=True))
    outputs = {PREDICTED: [model.labels[label] for label in predicted], CONFIDENCE: confidence}
    assert reference.calibration is not None  # noqa: S101 - it was just written
    return Judged(
        report=judge_window(reference.references(window.names), {**features, **outputs}),
        estimate=estimate_accuracy(reference.calibration, confidence, features),
        accuracy=float((predicted == truth).mean()),
        moves=moves,
    )
