"""What the recorder shows of the control plane is what stands in the database and the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.cli.logged import Logged

from fairlead.app.oversight import Oversight
from fairlead.config import Settings
from fairlead.controller.journal import Action, Journal
from fairlead.controller.lease import LEADER, Lease
from fairlead.controller.passes import Passes, Status, Trigger
from fairlead.controller.rollout_record import Status as RolloutStatus
from fairlead.controller.watch import Watcher
from fairlead.monitoring.retention import Records, Retention
from fairlead.rollout.plan import Mode, Plan
from fairlead.servable.identity import ServableId
from fairlead.telemetry.control import ControlMetrics
from fairlead.telemetry.exposition import registry_of
from fairlead.telemetry.instruments import Instruments

DIGITS = {"model": "digits"}


class Shown:
    """What a recorder that has just been started shows."""

    def __init__(self, live: Logged) -> None:
        instruments = Instruments()
        self._registry = registry_of(instruments)
        self._oversight = Oversight(Settings.read(), live.engine, live.store, ControlMetrics(instruments))
        self.look()

    def look(self) -> None:
        """Bring it up to date."""
        self.released = self._oversight.look()

    def value(self, name: str, **labels: str) -> float | None:
        """The value of one series of a model's; None when there is none."""
        return self._registry.get_sample_value(f"fairlead_{name}", DIGITS | labels)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """Digits in production: version 1 is stable, version 2 is published."""
    live = Logged.begin(tmp_path, monkeypatch)
    live.store.promote(live.publish().manifest.id, why="")
    live.publish()
    return live


def clock(live: Logged, later_s: float = 0.0) -> Callable[[], datetime]:
    """The time of the test, so much later."""
    return lambda: datetime.fromtimestamp(live.clock_us / 1e6, UTC) + timedelta(seconds=later_s)


def test_before_anything_happened_everything_that_may_is_0(live: Logged) -> None:
    """A rate over a series that appears with its first event would miss that event."""
    shown = Shown(live)

    assert shown.value("controller_runs_total", trigger="schedule", outcome="failed") == 0
    assert shown.value("gate_verdicts_total", verdict="refused") == 0
    assert shown.value("rollouts_total", outcome="rolled_back") == 0
    assert shown.value("rollout_step") == 0
    assert shown.value("rollout_started_timestamp_seconds") is None
    assert shown.value("last_success_timestamp_seconds", model="", task="backup") is None


def test_retrainings_are_counted_by_what_they_came_to(live: Logged) -> None:
    """One that published counts as such whatever became of the version; one under way does not count yet."""
    passes = Passes(live.engine, now=clock(live))
    ends = {"a": Status.PUBLISHED, "b": Status.PUBLISHED, "c": Status.REFUSED, "d": Status.FAILED, "e": None}
    for key, status in ends.items():
        begun = passes.begin("digits", Trigger.DRIFT, key, {})
        assert begun is not None
        if status:
            passes.finish(begun.id, status)
        if key == "b":
            passes.finish(begun.id, Status.ROLLED_BACK)

    for shown in (Shown(live), Shown(live)):  # after a restart as well
        assert shown.value("controller_runs_total", trigger="drift", outcome="published") == 2
        assert shown.value("controller_runs_total", trigger="drift", outcome="refused") == 1
        assert shown.value("controller_runs_total", trigger="drift", outcome="failed") == 1
        assert shown.value("gate_verdicts_total", verdict="passed") == 2
        assert shown.value("gate_verdicts_total", verdict="refused") == 1


def test_a_rollout_shows_its_step_until_it_ends(live: Logged) -> None:
    """Steps count from 1, and the beginning is that of the rollout, not of the step."""
    plan = Plan(mode=Mode.CANARY, weights=(0.1, 0.5))
    live.rollouts.start(ServableId("digits", 2), plan, who="tester", why="a test")
    shown = Shown(live)

    assert shown.released == {("digits", 1), ("digits", 2)}
    assert shown.value("rollout_step") == 1
    assert shown.value("rollout_started_timestamp_seconds") == live.clock_us / 1e6
    live.rollouts.end("digits", RolloutStatus.ABORTED, who="tester", why="enough")
    shown.look()
    assert shown.value("rollout_step") == 0
    assert shown.value("rollout_started_timestamp_seconds") is None
    assert shown.value("rollouts_total", outcome="aborted") == 1


def test_each_task_shows_when_it_succeeded_last(live: Logged) -> None:
    """Training by the newest version, a look by the lease, retention when every class of data was looked at."""
    settings = Settings.read()
    Journal(live.engine, now=clock(live, -60), who="tester").write(Action.BACKED_UP, model="", subject="x")
    lease = Lease(live.engine, name=LEADER, holder="host:1", now=clock(live, -5))
    lease.acquire()
    days = {Records.PREDICTIONS: settings.keep_predictions_days, Records.PAYLOADS: settings.keep_inputs_days}
    days |= {Records.LABELS: settings.keep_labels_days, Records.TALLIES: 365, Records.DEAD_LETTERS: 30}
    shown = Shown(live)
    now_s = live.clock_us / 1e6

    def succeeded(task: str, model: str = "") -> float | None:
        return shown.value("last_success_timestamp_seconds", model=model, task=task)

    assert succeeded("training", "digits") == pytest.approx(now_s)
    assert succeeded("backup") == pytest.approx(now_s - 60)
    assert succeeded("controller_look") == pytest.approx(now_s - 5)
    for late_s, (records, kept) in enumerate(days.items()):
        assert succeeded("retention") is None
        at = clock(live, late_s - 10)
        retention = Retention(live.engine, now_us=lambda at=at: int(at().timestamp() * 1e6))  # type: ignore[misc]
        retention.sweep(records, ttl_us=kept * 86_400_000_000)
        shown.look()
    assert succeeded("retention") == pytest.approx(now_s - 10)
    lease.release()
    shown.look()
    assert succeeded("controller_look") is None


def test_drift_that_persists_raises_its_alarm(live: Logged) -> None:
    """By feature, 0 for those that do not drift; a stable version that nobody has asked has none."""
    shown = Shown(live)
    where = {"version": "1", "arm": "stable"}
    watcher = Watcher(live.engine, live.store)
    watcher.step("digits", lambda _: None)
    shown.look()
    assert shown.value("drift_alarm", **where, feature="predicted") is None

    live.answer(1000, brightness=0.4)
    watcher.step("digits", lambda _: None)
    shown.look()
    watch = watcher.read("digits")
    assert watch is not None
    assert watch.report is not None
    names = {found["feature"] for found in watch.report["features"]}
    assert set(watch.history.persistent) & names
    assert {name for name in names if shown.value("drift_alarm", **where, feature=name)} == set(
        watch.history.persistent
    )
    assert shown.value("drift_alarm", **where, feature="predicted") == 0


def test_the_accuracy_floor_is_what_the_quality_trigger_tolerates(live: Logged) -> None:
    """Of every version that the release names."""
    shown = Shown(live)

    assert shown.value("accuracy_floor", version="1") == pytest.approx(0.89)
    assert shown.value("accuracy_floor", version="2") is None
