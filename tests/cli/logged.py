"""A home as it is after a while in production: a store, and a database of what was answered and what was true."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from fairlead.controller.journal import Journal
from fairlead.controller.rollouts import Rollouts
from fairlead.database.engine import migrate, open_engine
from fairlead.monitoring.feedback import Feedback
from fairlead.monitoring.label import Label
from fairlead.monitoring.prediction import PredictionRow, Tally
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.monitoring.reference_file import REFERENCE_FILE
from fairlead.servable.features import FeatureExtractor
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.store import Version
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE, write_digit_model
from fairlead.training.dataset import Rows
from fairlead.training.reference import describe

DIGITS = tuple("0123456789")
DAY_US = 86_400_000_000


@dataclass
class Logged:
    """Everything that the commands look at. Times count from `now_us`, which is when the test began.

    The models are sure of themselves to 80 to 100 %, and right on nine rows of ten.
    """

    root: Path
    engine: Engine
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(5))
    clock_us: int = 0

    @classmethod
    def begin(cls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
        """In a home of its own, which the environment names."""
        monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("FAIRLEAD_STORE", str(tmp_path / "store"))
        monkeypatch.delenv("FAIRLEAD_DATABASE_URL", raising=False)
        engine = open_engine(f"sqlite:///{tmp_path / 'home' / 'fairlead.db'}")
        migrate(engine)
        return cls(root=tmp_path, engine=engine)

    def __post_init__(self) -> None:
        self.now_us = int(datetime.now(UTC).timestamp() * 1e6)
        self.clock_us = self.now_us
        self.store = WritableStore(self.root / "store", now=self._now, who="tester")
        self.log = PredictionLog(self.engine)
        self.extractor = FeatureExtractor.of(DIGIT_SIGNATURE)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock_us / 1e6, UTC)

    def id(self, version: int) -> ServableId:
        """That version of digits."""
        return ServableId("digits", version)

    def publish(self, *, reference: bool = True, labels: Sequence[str] = DIGITS) -> Version:
        """The next version of digits, with a reference unless it is somebody else's."""

        def manifest(version: int, files: Mapping[str, str]) -> Manifest:
            return Manifest(
                model="digits",
                version=version,
                runtime="onnx",
                signature=DIGIT_SIGNATURE,
                labels=tuple(labels),
                files=files,
                created_at=self._now(),
                metrics={"accuracy": 0.9},
            )

        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            write_digit_model(directory, 7)
            if reference:
                (directory / REFERENCE_FILE).write_bytes(self._reference())
            return self.store.publish("digits", {path.name: path for path in directory.iterdir()}, manifest)

    def _reference(self, rows: int = 2000) -> bytes:
        predicted, confidence = self._answers(rows)
        probabilities = np.full((rows, 10), 0.0, np.float32)
        probabilities[np.arange(rows), predicted] = confidence
        return describe(
            Rows(inputs=self._pictures(rows), labels=self._truth(predicted)), probabilities, DIGITS, DIGIT_SIGNATURE
        ).encode()

    def _pictures(self, rows: int, brightness: float = 1.0) -> NDArray[np.float32]:
        shade = self.rng.uniform(0.2, 0.8, (rows, 1, 1, 1))
        return (brightness * shade * self.rng.uniform(0.5, 1.0, (rows, 28, 28, 1))).astype(np.float32)

    def _answers(self, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return self.rng.integers(0, 10, rows), self.rng.uniform(0.8, 1.0, rows).astype(np.float32)

    def _truth(self, predicted: NDArray[np.int64], accuracy: float = 0.9) -> NDArray[np.int64]:
        is_right = self.rng.random(len(predicted)) < accuracy
        return np.where(is_right, predicted, (predicted + 1) % 10)

    def answer(
        self,
        rows: int,
        *,
        version: int = 1,
        arm: str = "stable",
        age_us: int = 0,
        accuracy: float = 0.9,
        brightness: float = 1.0,
        alike: int = 1,
    ) -> list[Label]:
        """So many rows of one version, the last one `age_us` ago; the labels that may be given for them.

        Each `alike` rows after one another are the same picture, as of visitors who try again and again.
        """
        predicted, confidence = self._answers(rows // alike)
        predicted, confidence = predicted.repeat(alike), confidence.repeat(alike)
        pictures = self._features(self._pictures(rows // alike, brightness))
        features = [measured for measured in pictures for _ in range(alike)]
        last_us = self.clock_us - age_us
        found = [
            PredictionRow(
                id=self.new_id(at_us := last_us - 1000 * (rows - number)),
                at_us=at_us,
                model="digits",
                version=version,
                arm=arm,
                latency_us=900,
                predicted=str(predicted[number]),
                confidence=float(confidence[number]),
                features=features[number],
            )
            for number in range(rows)
        ]
        self.ship(found)
        truth = self._truth(predicted, accuracy)
        return [Label(prediction_id=row.id, label=str(true)) for row, true in zip(found, truth, strict=True)]

    def _features(self, pictures: NDArray[np.float32]) -> list[dict[str, float]]:
        assert self.extractor is not None
        measured = self.extractor.measure({"image": pictures})
        return [dict(zip(self.extractor.names, row.tolist(), strict=True)) for row in measured]

    def new_id(self, at_us: int) -> str:
        """An id of a prediction that was asked for then."""
        text = f"{at_us // 1000:012x}7000a000{int(self.rng.integers(2**48)):012x}"
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def ship(self, rows: Sequence[PredictionRow], tallies: Sequence[Tally] = ()) -> None:
        """Put rows and exact counts into the log."""
        begin = self.log.position("worker-0")
        end = type(begin)(file=begin.file + 1, position=0)
        self.log.ship("worker-0", rows, tallies, begin=begin, end=end, dropped=0)

    def label(self, labels: Sequence[Label], *, delay_us: int = 0) -> None:
        """Give labels, so long after now."""
        feedback = Feedback(
            self.engine,
            now_us=lambda: self.clock_us + delay_us,
            classes_of=lambda *_: None,
            horizon_us=7 * DAY_US,
        )
        feedback.give(labels, source="tester")

    @property
    def rollouts(self) -> Rollouts:
        """As a controller has them, by the clock of the test."""
        journal = Journal(self.engine, now=self._now, who="controller")
        return Rollouts(self.engine, self.store, journal, now_us=lambda: self.clock_us, who="controller")

    def traffic(self, rows: int, *, accuracy: float = 0.9) -> None:
        """So many requests, dealt out at the release's weight, with their labels; the candidate is right that often.

        By chance that is the same in each run, not by the requests' keys, which change with the time.
        """
        release = self.store.release("digits")
        assert release is not None
        trial = release.candidate
        found, labels = [], []
        for _ in range(rows):
            id_ = self.new_id(self.clock_us)
            arms = [(release.stable, "stable", 0.9)]
            if trial is not None and trial.mode == "shadow":
                arms.append((trial.version, "shadow", accuracy))
            elif trial is not None and self.rng.random() < trial.weight:
                arms = [(trial.version, "candidate", accuracy)]
            labels.append(Label(prediction_id=id_, label="7"))
            for version, arm, share in arms:
                predicted = "7" if self.rng.random() < share else "1"
                found.append(
                    PredictionRow(
                        id=id_,
                        at_us=self.clock_us,
                        model="digits",
                        version=version,
                        arm=arm,
                        latency_us=int(self.rng.lognormal(7, 0.3)),
                        predicted=predicted,
                        confidence=0.9,
                    )
                )
        self.ship(found)
        self.label(labels)
