"""A rollout goes where its evidence leads, once, whoever is killed on the way; people have the last word."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from fairlead.controller.journal import Journal
from fairlead.controller.observing import SETTLE_US
from fairlead.controller.rollout_record import Rollout, Status
from fairlead.controller.rollouts import Rollouts
from fairlead.errors import Code, FairleadError
from fairlead.monitoring.feedback import Feedback
from fairlead.monitoring.label import Label
from fairlead.monitoring.prediction import PredictionRow
from fairlead.monitoring.prediction_log import PredictionLog
from fairlead.rollout.guards import findings
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.verdict import Guard, Verdict
from fairlead.servable.identity import ServableId
from fairlead.serving.assignment import place
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

CANARY = Plan(mode=Mode.CANARY, weights=(0.1, 0.5), bake_s=60, min_requests=20, timeout_s=3600, stale_after_s=120)
SHADOW = Plan(mode=Mode.SHADOW, bake_s=60, min_requests=20, timeout_s=3600, stale_after_s=120)
CANDIDATE = ServableId("digits", 2)


@dataclass
class World:
    """A store with a stable version and a candidate, a log that is written to by hand, and a clock."""

    engine: Engine
    root: Path
    now_s: float = 1_000_000.0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))

    def __post_init__(self) -> None:
        self.store = WritableStore(self.root, now=self.now, who="tester")
        for digit in (7, 7):
            publish_digit(self.store, "digits", digit)
        self.store.promote(ServableId("digits", 1), why="first")
        self.log = PredictionLog(self.engine)
        self.feedback = Feedback(
            self.engine, now_us=self.now_us, classes_of=lambda *_: None, horizon_us=1_000_000_000_000
        )
        self.rollouts = self.controller()

    def controller(self) -> Rollouts:
        """Another one on the same database, as after a restart."""
        journal = Journal(self.engine, now=self.now, who="controller")
        return Rollouts(
            self.engine, self.store, journal, now_us=self.now_us, who="controller", new_id=lambda: self._text(32)
        )

    def _text(self, digits: int) -> str:
        """So many hexadecimal digits, the same in every run."""
        return "".join(self.rng.choice(list("0123456789abcdef"), digits))

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s, UTC)

    def now_us(self) -> int:
        return int(self.now_s * 1e6)

    def traffic(
        self,
        rows: int,
        *,
        slow: float = 1.0,
        wrong: float = 0.0,
        error: str = "",
        shift: float = 0.0,
        label: bool = False,
    ) -> None:
        """So many requests, dealt out as the release says; the candidate does worse as the arguments have it."""
        release = self.store.release("digits")
        assert release is not None
        trial = release.candidate
        found: list[PredictionRow] = []
        for number in range(rows):
            id_ = f"{int(self.now_s * 1000) + number:012x}"
            id_ = f"{id_[:8]}-{id_[8:]}-7000-8000-{self._text(12)}"
            is_candidate = trial is not None and trial.mode == "canary" and place(trial.salt, id_) < trial.weight
            arms = [(release.stable, "stable")]
            if trial is not None and is_candidate:
                arms = [(trial.version, "candidate")]
            elif trial is not None and trial.mode == "shadow":
                arms.append((trial.version, "shadow"))
            found += [self._row(id_, version, arm, slow, wrong, error, shift) for version, arm in arms]
        end = self.log.position("spool")
        self.log.ship("spool", found, [], begin=end, end=type(end)(file=end.file + 1, position=0), dropped=0)
        if label:
            ids = sorted({row.id for row in found})
            self.feedback.give([Label(prediction_id=id_, label="7") for id_ in ids], source="test")

    def _row(
        self, id_: str, version: int, arm: str, slow: float, wrong: float, error: str, shift: float = 0.0
    ) -> PredictionRow:
        is_new = arm in ("candidate", "shadow")
        is_wrong = self.rng.random() < (wrong if is_new else 0.1)
        latency_us = int(self.rng.lognormal(7, 0.3) * (slow if is_new else 1.0))
        features = {"mean": float(self.rng.normal(shift if is_new else 0.0))}
        answered: dict[str, Any] = {
            "predicted": "1" if is_wrong else "7",
            "confidence": 0.9,
            "features": features,
        }
        return PredictionRow(
            id=id_,
            at_us=int(id_[:8] + id_[9:13], 16) * 1000,
            model="digits",
            version=version,
            arm=arm,
            latency_us=latency_us,
            **({"error": error} if is_new and error else answered),
        )

    def run(self, steps: int, rows: int = 300, seconds: float = 20, **how: Any) -> Rollout:
        """So many looks, each after some time and traffic; the rollout after the last, or after its end."""
        for _ in range(steps):
            self.now_s += seconds
            self.traffic(rows, **how)
            self.now_s += 1
            self.rollouts.step_all()
            newest = self.rollouts.of_model("digits")[0]
            if newest.status is not Status.RUNNING:
                break
        return newest

    def actions(self) -> list[str]:
        """What the journal says was done, in order."""
        journal = Journal(self.engine, now=self.now, who="reader")
        return [entry.action for entry in reversed(journal.read("digits", limit=1000))]


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> World:
    """One world on each kind of database."""
    return World(engine=engine, root=tmp_path / "store")


def start(world: World, plan: Plan = CANARY, **how: bool) -> Rollout:
    """Begin to try the candidate."""
    return world.rollouts.start(CANDIDATE, plan, who="ann", why="a better one", **how)


def code_of(*arguments: Any, **how: Any) -> Code:
    """The code with which a rollout cannot be begun."""
    with pytest.raises(FairleadError) as caught:
        start(*arguments, **how)
    return caught.value.code


def test_a_good_canary_is_promoted_step_by_step(world: World) -> None:
    """The weight rises by the plan; at the end the candidate is stable, with the evidence in release and journal."""
    rollout = start(world)
    first = world.store.release("digits")
    assert first is not None
    assert first.candidate is not None
    assert (first.candidate.version, first.candidate.weight, first.candidate.salt) == (2, 0.1, rollout.id)

    ended = world.run(20, wrong=0.1, label=True)

    release = world.store.release("digits")
    assert release is not None
    assert (ended.status, release.stable, release.candidate) == (Status.PROMOTED, 2, None)
    assert [weight for weight, _ in ended.steps] == [0.1, 0.5]
    assert release.evidence["rollout"] == rollout.id
    assert release.evidence["findings"]
    assert world.actions() == ["started", "stepped", "promoted"]


@pytest.mark.parametrize(
    "harm", [{"error": "INTERNAL"}, {"error": "OUT_OF_RANGE"}, {"slow": 10.0}, {"wrong": 0.6, "label": True}]
)
def test_a_bad_canary_is_taken_back(world: World, harm: dict[str, Any]) -> None:
    """Errors, answers that are no numbers, slowness and wrong answers each end it, and the stable version stays."""
    start(world)

    ended = world.run(30, **harm)

    release = world.store.release("digits")
    assert release is not None
    assert (ended.status, release.stable, release.candidate) == (Status.ROLLED_BACK, 1, None)
    assert ended.intent is not None
    assert ended.intent.reason in release.why
    assert world.actions()[-1] == "rolled_back"


def test_a_shadow_is_compared_answer_by_answer(world: World) -> None:
    """Copies that agree promote; copies that differ too often are taken back."""
    start(world, SHADOW)
    assert world.run(10, wrong=0.0).status is Status.PROMOTED

    world.store.rollback("digits", why="again")
    start(world, SHADOW, again=True)
    ended = world.run(10, wrong=0.9, label=True)
    assert ended.status is Status.ROLLED_BACK
    assert ended.evidence.pairs.labelled > 0


def test_without_traffic_nothing_is_promoted(world: World) -> None:
    """It holds, says so once, and the plan's timeout takes it back."""
    start(world)

    holding = world.run(10, rows=0)
    assert holding.status is Status.RUNNING
    assert world.actions() == ["started", "held"]

    ended = world.run(3600 // 20, rows=0)
    assert ended.status is Status.ROLLED_BACK
    assert world.actions()[-1] == "rolled_back"


def test_any_controller_goes_on_where_the_last_one_was(world: World) -> None:
    """With another controller at each look, verdict, weights and evidence are those of a single one."""
    start(world)
    for _ in range(20):
        world.rollouts = world.controller()
        ended = world.run(1, wrong=0.1, label=True)

    assert ended.status is Status.PROMOTED
    assert world.actions() == ["started", "stepped", "promoted"]


@pytest.mark.parametrize(("part", "name", "is_before"), [("_records", "add", False), ("_store", "try_candidate", True)])
def test_a_leader_may_begin_it_too(
    world: World, monkeypatch: pytest.MonkeyPatch, part: str, name: str, *, is_before: bool
) -> None:
    """As soon as it is on record, and whoever asked for it hears that it has begun, once."""
    leader = world.controller()
    begin = getattr(getattr(world.rollouts, part), name)

    def meanwhile(*arguments: Any, **how: Any) -> Any:
        monkeypatch.undo()
        begun = None if is_before else begin(*arguments, **how)
        leader.step_all()
        return begin(*arguments, **how) if is_before else begun

    monkeypatch.setattr(getattr(world.rollouts, part), name, meanwhile)
    rollout = start(world)

    assert (rollout.status, len(rollout.steps)) == (Status.RUNNING, 1)
    assert world.actions() == ["started"]


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", range(16))
def test_a_killed_controller_leaves_one_outcome(world: World, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Wherever among its writes it dies, the next one finishes: each step once, and one end."""
    count = 0

    def dying(function: Any) -> Any:
        def call(*arguments: Any, **how: Any) -> Any:
            nonlocal count
            count += 1
            if count == after + 1:
                raise Killed
            return function(*arguments, **how)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "promote", dying(world.store.promote))
        patch.setattr(world.store, "try_candidate", dying(world.store.try_candidate))
        records, journal = world.rollouts._records, world.rollouts._journal
        for part, name in ((records, "add"), (records, "save"), (journal, "write")):
            patch.setattr(part, name, dying(getattr(part, name)))
        try:
            start(world)
            world.run(20, wrong=0.1)
        except Killed:
            pass
        else:
            assert count <= after
    world.rollouts = world.controller()
    if not world.rollouts.of_model("digits"):  # it died before anything was said
        start(world)
    ended = world.run(20, wrong=0.1)

    release = world.store.release("digits")
    assert release is not None
    assert (ended.status, release.stable, release.candidate) == (Status.PROMOTED, 2, None)
    assert [action for action in world.actions() if action != "held"] == ["started", "stepped", "promoted"]


def test_a_person_has_the_last_word(world: World) -> None:
    """Who rolls back, promotes or takes the candidate out by hand ends the rollout; it is not begun again by itself."""
    start(world)
    world.run(2)
    world.store.try_candidate("digits", None, why="enough of it")
    ended = world.run(1)
    assert ended.status is Status.ABORTED
    assert ended.intent is not None
    assert "enough of it" in ended.intent.reason

    start(world)
    world.run(1)
    world.store.promote(CANDIDATE, why="I know better")
    assert world.run(1).status is Status.PROMOTED
    assert world.actions() == ["started", "aborted", "started", "promoted"]


def test_an_abort_gives_the_traffic_back(world: World) -> None:
    """It ends at once, with the reason, and the stable version answers everybody."""
    start(world)
    world.run(2)

    ended = world.rollouts.end("digits", Status.ABORTED, who="ann", why="the wrong one")

    release = world.store.release("digits")
    assert release is not None
    assert (ended.status, release.stable, release.candidate) == (Status.ABORTED, 1, None)
    assert "the wrong one" in release.why
    with pytest.raises(FairleadError, match="no rollout of digits runs"):
        world.rollouts.end("digits", Status.ABORTED, who="ann", why="again")


def test_what_cannot_be_tried(world: World) -> None:
    """A second rollout, the stable version and one that is not published are refused, and nothing changes."""
    start(world)
    before = world.store.release("digits")

    assert code_of(world) is Code.ALREADY_EXISTS
    for version, code in ((1, Code.FAILED_PRECONDITION), (9, Code.NOT_FOUND)):
        with pytest.raises(FairleadError) as caught:
            world.rollouts.start(ServableId("digits", version), CANARY, who="ann", why="")
        assert caught.value.code is code
    assert world.store.release("digits") == before
    assert world.actions() == ["started"]


def test_what_was_rolled_back_is_not_tried_again(world: World) -> None:
    """Neither a candidate that a guard took back nor a version that a person rolled back, unless somebody says so."""
    start(world)
    world.run(30, error="INTERNAL")
    assert code_of(world) is Code.FAILED_PRECONDITION
    again = start(world, again=True)
    assert again.status is Status.RUNNING

    world.rollouts.end("digits", Status.ABORTED, who="ann", why="")
    world.store.promote(CANDIDATE, why="by hand")
    world.store.rollback("digits", why="oh no")
    assert code_of(world) is Code.FAILED_PRECONDITION


def test_rows_of_a_change_of_weight_belong_to_none(world: World) -> None:
    """What was asked for in the seconds in which workers take up a weight is left out of the comparison."""
    start(world)
    world.now_s += SETTLE_US / 1e6 - 1
    world.traffic(200)
    world.rollouts.step_all()
    assert world.rollouts.require("digits").evidence.answered(0.1) == (0, 0)

    world.now_s += 2
    world.traffic(200)
    world.rollouts.step_all()
    assert sum(world.rollouts.require("digits").evidence.answered(0.1)) == 200


def test_labels_may_come_before_their_answers(world: World) -> None:
    """A label whose prediction is still on its way waits for it, and counts then."""
    start(world)
    world.now_s += 10
    id_ = f"{int(world.now_s * 1000):012x}"
    id_ = f"{id_[:8]}-{id_[8:]}-7000-8000-000000000000"
    world.feedback.give([Label(prediction_id=id_, label="7")], source="test")
    world.rollouts.step_all()
    assert len(world.rollouts.require("digits").waiting) == 1

    end = world.log.position("spool")
    row = world._row(id_, 1, "stable", 1.0, 0.0, "")
    world.log.ship("spool", [row], [], begin=end, end=type(end)(file=end.file + 1, position=0), dropped=0)
    world.rollouts.step_all()

    rollout = world.rollouts.require("digits")
    assert rollout.waiting == ()
    assert rollout.evidence.periods[0.1].stable[1] == 1


@pytest.mark.parametrize(("shift", "status"), [(0.0, Status.PROMOTED), (1.0, Status.ROLLED_BACK)])
def test_arms_that_are_asked_different_things(world: World, shift: float, status: Status) -> None:
    """A candidate that gets another kind of input than the stable version is taken back, whatever it answers."""
    start(world)

    ended = world.run(20, rows=1500, wrong=0.1, shift=shift)

    assert ended.status is status
    drift = next(one for one in findings(ended.plan, ended.evidence) if one.guard is Guard.DRIFT)
    assert drift.verdict is (Verdict.FAILED if shift else Verdict.PASSED)
    assert "mean" in drift.detail or not shift
