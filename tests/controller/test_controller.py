"""The loop: what sets a retraining off, what comes of it, and that whoever takes over finishes it once."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, update
from tests.controller.conftest import Bench, Centroids

from fairlead.controller.controller import Controller, Result
from fairlead.controller.journal import Action, Journal
from fairlead.controller.notification import Notification
from fairlead.controller.notifier import Delivery, Notifier
from fairlead.controller.passes import Pass, Passes, Status, Trigger
from fairlead.controller.retrain_config import RetrainConfig
from fairlead.controller.rollout_record import RolloutRecords
from fairlead.controller.schedule import Schedule
from fairlead.database.schema import leases
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.feedback import Feedback
from fairlead.monitoring.label import Label
from fairlead.monitoring.position import Position
from fairlead.monitoring.prediction import PredictionRow
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.rollout.plan import Mode, Plan
from fairlead.servable.identity import ServableId
from fairlead.serving.assignment import place
from fairlead.store.writable_store import WritableStore
from fairlead.training.dataset import Dataset, Rows

PLAN = Plan(mode=Mode.CANARY, weights=(0.5,), bake_s=60, min_requests=20, timeout_s=3600, stale_after_s=300)


class Told(Notifier):
    """Keeps what it is to tell."""

    def __init__(self) -> None:
        super().__init__([])
        self.titles: list[str] = []

    def send(self, told: Notification) -> tuple[Delivery, ...]:
        self.titles.append(told.title)
        return ()


@dataclass
class Done:
    """A training run that was over as soon as it began; `is_slow` ones never are."""

    result: Result
    is_slow: bool = False

    def poll(self) -> Result | None:
        return None if self.is_slow else self.result

    def stop(self) -> None:
        """There is nothing to end."""


@dataclass
class Training:
    """Publishes the first version again, or trains with a real pipeline here and now where a recipe is given."""

    bench: Bench
    recipe: Any = None
    is_slow: bool = False
    runs: list[RetrainConfig] = field(default_factory=list)

    def begin(self, model: str, pass_id: str, config: RetrainConfig) -> Done:
        self.runs.append(config)
        if self.is_slow:
            return Done(Result(status=Status.FAILED, version=None, why="", evidence={}), is_slow=True)
        if self.recipe is None:
            version = republish(self.bench.store, pass_id)
            return Done(Result(status=Status.PUBLISHED, version=version, why="passed", evidence={}))
        pipeline = self.bench.pipeline(self.recipe, registry=None, lineage={"pass_id": pass_id})
        try:
            outcome = pipeline.run(replace_profile(config), seed=len(self.runs))
        except FairleadError as error:
            return Done(Result(status=Status.FAILED, version=None, why=error.message, evidence={}))
        why = "; ".join(check.name for check in outcome.report.failures)
        made = outcome.version.manifest.version if outcome.version else None
        status = Status.PUBLISHED if made else Status.REFUSED
        return Done(Result(status=status, version=made, why=why, evidence=outcome.report.to_json()))


def republish(store: WritableStore, pass_id: str) -> int:
    """The first version once more, as the pass's."""
    first = store.open(ServableId("digits", 1))
    files = {path.name: path for path in first.directory.iterdir() if path.name != "manifest.json"}
    lineage = {**first.manifest.lineage, "pass_id": pass_id}
    published = store.publish(
        "digits", files, lambda number, digests: replace(first.manifest, version=number, files=digests, lineage=lineage)
    )
    return published.manifest.version


def replace_profile(config: RetrainConfig) -> Any:
    """A profile as the configuration has it."""
    from fairlead.training.run import Profile

    return config.profile(Profile(name="dev", epochs=1))


@dataclass
class World:
    """A controller with a hand on its clock."""

    engine: Engine
    bench: Bench
    now: datetime = datetime(2026, 3, 1, tzinfo=UTC)  # a Sunday
    schedule: Schedule | None = None
    training: Training = field(init=False)
    told: Told = field(default_factory=Told)
    backups: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bench.store = WritableStore(self.bench.store.root, now=lambda: self.now, who="controller")
        self.training = Training(self.bench)
        self.log = PredictionLog(self.engine)
        self.passes = Passes(self.engine, now=lambda: self.now)
        self.controller = self.another()

    @property
    def store(self) -> WritableStore:
        return self.bench.store

    def another(self) -> Controller:
        """A controller on the same database, as after a restart."""
        return Controller(
            self.engine,
            self.store,
            ("digits",),
            trainer=self.training,
            plan=PLAN,
            schedule=self.schedule,
            notifier=self.told,
            back_up=self.backups.append,
            tidy=lambda: None,
            now=lambda: self.now,
            who=uuid.uuid4().hex,
        )

    def outlive(self) -> None:
        """Time passes until the lease of whoever led has ended, and another controller is there."""
        self.now += timedelta(minutes=1)
        with self.engine.begin() as connection:
            connection.execute(update(leases).values(expires_us=1))  # PostgreSQL goes by its own clock
        self.controller = self.another()

    def look(self, times: int = 1, seconds: float = 2) -> None:
        """So many looks."""
        for _ in range(times):
            self.now += timedelta(seconds=seconds)
            self.controller.look()

    def ask(self, key: str = "person:1", **config: Any) -> Pass:
        """What a person asks for."""
        begun = self.passes.begin("digits", Trigger.PERSON, key, RetrainConfig(**config).to_json())
        assert begun is not None
        return begun

    def traffic(self, rows: int, right: float = 0.95, *, label: bool = True, shift: float = 0.0) -> None:
        """Predictions of whoever answers now, and labels: the same for both arms, so that chance ends no trial."""
        release = self.store.release("digits")
        assert release is not None
        draws = {arm: np.random.default_rng(int(self.now.timestamp())) for arm in ("stable", "candidate")}
        found = []
        for number in range(rows):
            id_ = f"{int(self.now.timestamp() * 1000) + number:012x}"
            id_ = f"{id_[:8]}-{id_[8:]}-7000-8000-{uuid.uuid4().hex[:12]}"
            trial = release.candidate
            is_new = trial is not None and place(trial.salt, id_) < trial.weight
            version, arm = (trial.version, "candidate") if trial and is_new else (release.stable, "stable")
            rng = draws[arm]
            found.append(
                PredictionRow(
                    id=id_,
                    at_us=int(id_[:8] + id_[9:13], 16) * 1000,
                    model="digits",
                    version=version,
                    arm=arm,
                    latency_us=int(rng.lognormal(7, 0.3)),
                    predicted="7" if rng.random() < right else "1",
                    confidence=0.9,
                    features={"mean": float(rng.normal(0.13 + shift, 0.03))},
                )
            )
        begin = self.log.position("spool")
        self.log.ship("spool", found, [], begin=begin, end=Position(file=begin.file + 1), dropped=0)
        if label:
            feedback = Feedback(
                self.engine, now_us=lambda: int(self.now.timestamp() * 1e6), classes_of=lambda *_: None, horizon_us=1
            )
            feedback.give([Label(prediction_id=row.id, label="7") for row in found], source="test")

    def rollout(self, looks: int = 40) -> None:
        """Time and traffic until no version is being tried."""
        for _ in range(looks):
            if RolloutRecords(self.engine).running("digits") is None:
                return
            self.now += timedelta(seconds=10)
            self.traffic(200)
            self.look()
        pytest.fail("the rollout does not end")

    def actions(self) -> list[str]:
        """What was done, in order."""
        entries = Journal(self.engine, now=lambda: self.now, who="reader").read("digits", limit=1000)
        return [entry.action for entry in reversed(entries) if entry.action != "held"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one version that was really trained."""
    root = tmp_path_factory.mktemp("trained")
    store = WritableStore(root / "store", now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who="trainer")
    bench = Bench(store=store, registry=None, home=root / "home", said=[])  # type: ignore[arg-type] # none is needed
    bench.pipeline().run(replace_profile(RetrainConfig()), seed=0)
    return store.root


@pytest.fixture
def world(engine: Engine, store: WritableStore, tmp_path: Path, trained: Path) -> World:
    """A model that is served, and a controller."""
    shutil.copytree(trained, store.root)
    bench = Bench(store=store, registry=None, home=tmp_path / "home", said=[])  # type: ignore[arg-type] # none is needed
    return World(engine=engine, bench=bench)


def test_a_retraining_goes_from_the_wish_to_the_release(world: World) -> None:
    """Trained, gated, published, tried, backed up, promoted; people are told, and the journal has every step once."""
    asked = world.ask(epochs=3)
    world.look(2)
    assert world.training.runs[0].epochs == 3
    assert world.passes.find(asked.id).status is Status.PUBLISHED

    world.rollout()

    release = world.store.release("digits")
    assert release is not None
    assert release.stable == 2
    assert world.passes.find(asked.id).status is Status.PROMOTED
    assert world.actions() == ["published", "started", "promoted"]
    assert world.backups == ["before 2 serves"]
    assert world.told.titles == ["digits: version 2 is being tried", "digits: version 2 serves now"]


def spoilt(change: Callable[[Dataset], Dataset]) -> Any:
    """A recipe whose data are changed."""
    return Centroids(spoil=change)


def shuffled(dataset: Dataset) -> Dataset:
    """Labels that belong to other rows."""
    order = np.random.default_rng(1).permutation(len(dataset.train))
    return replace(dataset, train=Rows(inputs=dataset.train.inputs, labels=dataset.train.labels[order]))


def a_tenth(dataset: Dataset) -> Dataset:
    """A tenth of the rows."""
    return replace(dataset, train=dataset.train.take(np.arange(0, len(dataset.train), 10)))


def leaked(dataset: Dataset) -> Dataset:
    """The rows that judge among those that are learnt."""
    train, held_out = dataset.train, dataset.held_out
    inputs, labels = (np.concatenate([getattr(train, n), getattr(held_out, n)]) for n in ("inputs", "labels"))
    return replace(dataset, train=Rows(inputs=inputs, labels=labels))


def not_a_number(dataset: Dataset) -> Dataset:
    """One picture with a NaN."""
    inputs = dataset.train.inputs.copy()
    inputs[7, 3, 3, 0] = np.nan
    return replace(dataset, train=Rows(inputs=inputs, labels=dataset.train.labels))


@pytest.mark.parametrize(
    ("change", "reason"),
    [(shuffled, "accuracy"), (a_tenth, "training rows"), (leaked, "overlap"), (not_a_number, "finite values")],
)
def test_a_spoilt_retraining_is_stopped(world: World, change: Callable[[Dataset], Dataset], reason: str) -> None:
    """The gate or the data checks say why, people are told, and the champion goes on serving."""
    world.training.recipe = spoilt(change)
    before = world.store.release("digits")

    asked = world.ask()
    world.look(3)

    found = world.passes.find(asked.id)
    assert found.status is Status.REFUSED
    assert reason in found.outcome["why"]
    assert world.store.release("digits") == before
    assert world.store.versions("digits") == (1,)
    assert world.told.titles == ["digits: a retrained model was refused"]
    assert world.actions() == ["refused"]


def test_the_schedule_trains_once(world: World) -> None:
    """Monday at two, whatever clock and controllers do; a week that was missed is made up once."""
    world.schedule = Schedule()
    world.training.is_slow = True
    world.controller = world.another()
    world.look()
    assert world.training.runs == []

    world.now = datetime(2026, 3, 2, 2, 0, 1, tzinfo=UTC)
    world.look(5)
    (begun,) = world.passes.unfinished()
    assert begun.key == "schedule:2026-03-02T02:00Z"
    world.passes.finish(begun.id, Status.FAILED)
    world.controller.close()
    world.controller = world.another()
    world.look(5)
    world.now = datetime(2026, 3, 2, 1, 59, tzinfo=UTC)  # the clock is set back
    world.look(100, seconds=2)
    assert len(world.training.runs) == 1

    world.now = datetime(2026, 3, 24, tzinfo=UTC)
    world.look(5)
    assert len(world.training.runs) == 2


def test_a_fall_in_quality_trains_again(world: World) -> None:
    """Labels that say the model has become worse set a retraining off, once, with the figures in the journal."""
    world.look()
    for _ in range(4):
        world.traffic(200, right=0.97)
        world.look()
    assert world.training.runs == []

    world.traffic(500, right=0.75)
    world.look(4)

    assert len(world.training.runs) == 1
    assert world.actions()[:2] == ["alarmed", "triggered"]
    assert "digits: version 1 has become worse" in world.told.titles


def test_drift_trains_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs that have changed for two windows of three set one off; the sentence names the feature."""
    world.look()
    world.traffic(500, label=False, shift=3.0)
    world.look()
    first = len(world.training.runs)
    world.traffic(500, label=False, shift=3.0)
    world.look(3)

    assert (first, len(world.training.runs)) == (0, 1)
    entries = Journal(world.engine, now=lambda: world.now, who="reader").read("digits", limit=1000)
    (alarm,) = (entry for entry in entries if entry.action == "alarmed" and "mean" in entry.why)
    assert alarm.subject == "1"


def test_one_controller_leads(world: World) -> None:
    """The second stands by and does nothing; when the first is gone it takes over."""
    other = world.another()
    first = world.controller.look()
    second = other.look()
    assert first.is_mine
    assert not second.is_mine
    assert second.holder == first.holder

    world.ask()
    other.look()
    assert world.training.runs == []

    first_controller = world.controller
    world.outlive()
    assert other.look().is_mine
    with pytest.raises(FairleadError) as caught:
        first_controller._journal.write(Action.HELD, model="digits")
    assert caught.value.code is Code.ABORTED
    assert not first_controller.look().is_mine


def test_a_controller_that_dies_while_it_trains_is_followed(world: World) -> None:
    """The next begins the training anew and says so; after three deaths the pass has failed."""
    world.training.is_slow = True
    asked = world.ask()
    for _ in range(4):
        world.look(2)
        world.outlive()
    world.look()

    assert len(world.training.runs) == 3
    assert world.passes.find(asked.id).status is Status.FAILED
    assert world.actions().count("undone") == 2
    assert world.actions()[-1] == "failed"


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", range(24))
def test_a_killed_controller_leaves_one_outcome(world: World, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Wherever among its writes it dies, the next one finishes: one version, one trial, one end, each step once."""
    count = 0

    def dying(function: Any) -> Any:
        def call(*arguments: Any, **how: Any) -> Any:
            nonlocal count
            count += 1
            if count == after + 1:
                raise Killed
            return function(*arguments, **how)

        return call

    asked = world.ask()
    controller = world.controller
    parts = [
        (controller._journal, "write"),
        (controller._passes, "to_step"),
        (controller._passes, "finish"),
        (controller._rollouts._records, "add"),
        (controller._rollouts._records, "save"),
        (world.store, "promote"),
        (world.store, "try_candidate"),
        (world.store, "publish"),
    ]
    with monkeypatch.context() as patch:
        for part, name in parts:
            patch.setattr(part, name, dying(getattr(part, name)))
        try:
            world.look(3)
            world.rollout()
        except Killed:
            pass
    world.outlive()
    world.look(3)
    world.rollout()

    release = world.store.release("digits")
    assert release is not None
    assert (release.stable, release.candidate) == (2, None)
    assert world.store.versions("digits") == (1, 2)
    assert world.passes.find(asked.id).status in {Status.PROMOTED, Status.PUBLISHED}
    assert [action for action in world.actions() if action != "undone"] == ["published", "started", "promoted"]


def test_a_model_without_a_recipe_is_watched(world: World, tmp_path: Path) -> None:
    """What nobody can train here is told of, and nothing is begun."""
    world.controller = Controller(
        world.engine,
        world.store,
        (),
        trainer=world.training,
        plan=PLAN,
        schedule=Schedule(cron="* * * * *"),
        notifier=world.told,
        back_up=world.backups.append,
        tidy=lambda: None,
        now=lambda: world.now,
        who="watcher",
    )
    world.look()
    world.traffic(800, right=0.7)
    world.look(3)

    assert world.told.titles == ["digits: version 1 has become worse"]
    assert world.training.runs == []
