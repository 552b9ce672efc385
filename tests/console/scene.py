"""A home that has something to show on every page, and hostile texts wherever a text can come from outside."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tests.cli.logged import DIGITS, Logged

from fairlead.controller.journal import Action, Journal
from fairlead.database.engine import migrate, open_engine
from fairlead.monitoring.label import Label
from fairlead.monitoring.prediction import PredictionRow
from fairlead.monitoring.reference_file import REFERENCE_FILE
from fairlead.rollout.plan import Mode, Plan
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Cost, Manifest
from fairlead.store.store import Version
from fairlead.testing import DIGIT_SIGNATURE, write_digit_model
from fairlead.training.registry import Registry

__all__ = ["HOSTILE", "begin_scene", "publish_judged", "record_run"]

HOSTILE = "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
_MINUTE_US, _HOUR_US = 60_000_000, 3_600_000_000


def begin_scene(root: Path) -> Logged:
    """A day of production: three versions, labels that came late, drift, one rollout that ended and one under way."""
    engine = open_engine(f"sqlite:///{root / 'home' / 'fairlead.db'}")
    migrate(engine)
    live = Logged(root=root, engine=engine)
    live.clock_us -= 10 * _MINUTE_US
    for accuracy in (0.95, 0.97):
        publish_judged(live, accuracy)
    publish_judged(live, 0.98, record_run(root / "home", 0.98))
    live.store.promote(ServableId("digits", 1), why="the first version that passed the gate")
    live.store.promote(ServableId("digits", 2), why=f"better on sevens {HOSTILE}")
    for hours in range(20, 0, -2):
        labels = live.answer(60, version=2, age_us=hours * _HOUR_US, accuracy=0.97 - 0.01 * hours)
        live.label(labels[:40], delay_us=-(hours - 1) * _HOUR_US)
    live.answer(1000, version=2, brightness=0.45)
    journal = Journal(live.engine, now=live._now, who="controller")
    journal.write(Action.ALARMED, model="digits", subject="2", why="ink fell by 1.1 sd", evidence={"features": ["ink"]})
    plan = Plan(mode=Mode.CANARY, weights=(0.1, 0.5), bake_s=3600, min_requests=50)
    live.rollouts.start(ServableId("digits", 3), plan, who="ann", why=f"the new one {HOSTILE}")
    for _ in range(3):
        live.clock_us += 2 * _MINUTE_US
        live.traffic(400)
        live.rollouts.step(live.rollouts.require("digits"))
    _keep_pictures(live)
    return live


def publish_judged(live: Logged, accuracy: float, run: str = "") -> Version:
    """The next version of digits, which brings figures, a verdict and a lineage."""

    def manifest(version: int, files: Mapping[str, str]) -> Manifest:
        checks = [
            ("accuracy", accuracy, 0.9, f"{accuracy:.2%} of 2,000 held-out rows were right"),
            ("class recall", accuracy - 0.03, 0.8, "the worst class is '8'"),
        ]
        return Manifest(
            model="digits",
            version=version,
            runtime="onnx",
            signature=DIGIT_SIGNATURE,
            labels=DIGITS,
            files=files,
            created_at=live._now(),
            metrics={"accuracy": accuracy, "log_loss": 0.2 - accuracy / 10},
            gate={
                "verdict": "passed",
                "checks": [
                    {
                        "name": name,
                        "verdict": "passed",
                        "figure": figure,
                        "threshold": threshold,
                        "bound": "at least",
                        "unit": "share",
                        "detail": detail,
                    }
                    for name, figure, threshold, detail in checks
                ],
            },
            lineage={
                "data": {"source": "mnist", "sha256": "ab" * 32, "origin": {"note": HOSTILE}},
                "libraries": {"numpy": f"2.{version}", "python": "3.13"},
                "seed": version,
                "run_id": run,
            },
            cost=Cost(peak_memory_bytes=31_000_000, ms_per_row=0.4),
        )

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_digit_model(directory, 7)
        (directory / REFERENCE_FILE).write_bytes(live._reference())
        return live.store.publish("digits", {path.name: path for path in directory.iterdir()}, manifest)


def record_run(home: Path, accuracy: float) -> str:
    """A training run of five epochs in the registry of the home; its id."""
    registry = Registry(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")
    run = registry.start("digits", f"digits-{accuracy:g}", {"profile": "dev", "seed": "1", "data_source": HOSTILE})
    run.params({"optimizer": "adam", "rate": 0.001})
    for epoch in range(1, 6):
        gap = (1 - accuracy) * 5 / epoch
        run.metrics(epoch, {"loss": gap, "val_loss": gap * 1.2, "accuracy": 1 - gap, "val_accuracy": 1 - gap * 1.1})
    run.metrics(0, {"held_out_accuracy": accuracy})
    run.close()
    return run.run_id


def _keep_pictures(live: Logged) -> None:
    """Three predictions whose inputs were kept; the class of the last is a text that a model made up."""
    rows = []
    for number, predicted in enumerate(("7", "1", HOSTILE)):
        picture = np.zeros((28, 28, 1), np.float32)
        picture[4:24, 12 + number : 16 + number] = 1.0
        file = io.BytesIO()
        np.savez_compressed(file, image=picture)
        rows.append(
            PredictionRow(
                id=live.new_id(live.clock_us),
                at_us=live.clock_us,
                model="digits",
                version=2,
                arm="stable",
                latency_us=900,
                predicted=predicted,
                confidence=0.8,
                inputs=file.getvalue(),
            )
        )
    live.ship(rows)
    live.label([Label(prediction_id=rows[1].id, label="7")])
