"""Rollouts in the console: their evidence, and the buttons of the one who decides."""

from __future__ import annotations

import pytest
from tests.cli.logged import Logged

from fairlead.app.control import open_journal
from fairlead.app.releases import now
from fairlead.controller.passes import Passes, Trigger
from fairlead.controller.passes import Status as PassStatus
from fairlead.controller.rollout_record import Rollout, Status
from fairlead.rollout.plan import Mode, Plan

from .conftest import Visitor


@pytest.fixture
def trial(live: Logged) -> Rollout:
    """Version 2 is tried as a canary, and was asked."""
    live.clock_us -= 600_000_000
    live.publish()
    plan = Plan(mode=Mode.CANARY, weights=(0.2, 0.5), bake_s=3600, min_requests=50)
    live.rollouts.start(live.id(2), plan, who="bob", why="a try")
    live.clock_us += 300_000_000
    live.traffic(300)
    live.rollouts.step(live.rollouts.require("digits"))
    return live.rollouts.require("digits")


def test_it_shows_where_a_rollout_stands(ann: Visitor, trial: Rollout) -> None:
    """Its step, what each guard says, the rows of both arms; and that no controller leads."""
    told = ann.get(f"/api/rollouts/{trial.id}").json()
    assert {finding["guard"] for finding in told["findings"]} >= {"errors", "latency", "accuracy"}
    (period,) = told["periods"]
    assert period["weight"] == 0.2
    assert period["candidate"]["rows"] > 20
    text = ann.get(f"/rollouts/{trial.id}").text
    for part in ("version 2 against 1", "a try", "1 of 2", "No controller runs"):
        assert part in text
    assert f"/console/rollouts/{trial.id}" in ann.get("/rollouts").text


@pytest.mark.parametrize(
    ("button", "status", "stable"),
    [("promote", Status.PROMOTED, 2), ("abort", Status.ABORTED, 1), ("rollback", Status.ROLLED_BACK, 1)],
)
def test_a_person_ends_it(ann: Visitor, live: Logged, trial: Rollout, button: str, status: Status, stable: int) -> None:
    """In the user's name: the release, the rollout and the journal say so; a second time it has ended."""
    ann.submit(f"/rollouts/{trial.id}/{button}", why="I looked at it", next=f"/console/rollouts/{trial.id}")
    (ended,) = live.rollouts.of_model("digits")
    release, entry = live.store.release("digits"), open_journal(live.engine).read("digits")[0]
    assert release is not None
    assert (ended.status, release.stable, release.candidate, release.who) == (status, stable, None, "ann")
    assert (entry.action, entry.subject, entry.who, entry.why) == (status.value, "2", "ann", "I looked at it")
    text = ann.get(f"/rollouts/{trial.id}").text
    assert "decided by ann: I looked at it" in text
    assert f"/rollouts/{trial.id}/abort" not in text
    ann.submit(f"/rollouts/{trial.id}/abort", why="again")
    assert "has ended" in ann.get("/rollouts").text


def test_it_wants_a_reason(ann: Visitor, live: Logged, trial: Rollout) -> None:
    """Else the rollout goes on."""
    ann.submit(f"/rollouts/{trial.id}/abort", why=" ")
    assert live.rollouts.is_running("digits")
    assert "a reason is missing" in ann.get("/rollouts").text


def test_without_rollouts_it_says_what_to_do(ann: Visitor, live: Logged) -> None:
    """And one that is not there is told."""
    text = ann.get("/rollouts").text
    assert "Nothing is tried just now." in text
    assert "fairlead rollout start" in text
    assert ann.get("/rollouts/nothing").status_code == 404


def test_the_retraining_that_made_it_ends_with_it(ann: Visitor, live: Logged, trial: Rollout) -> None:
    """As it does where a controller decides."""
    passes = Passes(live.engine, now=now)
    begun = passes.begin("digits", Trigger.DRIFT, "occasion", {})
    assert begun is not None
    passes.finish(begun.id, PassStatus.PUBLISHED, version=2)
    ann.submit(f"/rollouts/{trial.id}/promote", why="I looked at it")
    ended = passes.of_version("digits", 2)
    assert ended is not None
    assert (ended.status, ended.outcome["why"]) == (PassStatus.PROMOTED, "I looked at it")
