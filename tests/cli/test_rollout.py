"""`fairlead rollout` and `fairlead experiment`: what they begin, what they tell, and what they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.main import main
from fairlead.controller.lease import LEADER, Lease
from fairlead.controller.rollout_record import Rollout
from fairlead.controller.rollouts import Rollouts
from fairlead.rollout.plan import Mode, Plan
from fairlead.servable.identity import ServableId

from .logged import Logged

Capture = pytest.CaptureFixture[str]
SECOND_US = 1_000_000
CANARY = Plan(mode=Mode.CANARY, weights=(0.2, 0.5), bake_s=600, min_requests=100)
AB = Plan(mode=Mode.AB, weights=(0.5,), min_labels=400, min_requests=100)
SHADOW = Plan(mode=Mode.SHADOW, bake_s=600, min_requests=100)


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logged:
    """A stable version, and another that was never released."""
    live = Logged.begin(tmp_path, monkeypatch)
    live.store.promote(live.publish().manifest.id, why="first")
    live.publish()
    return live


def run(live: Logged, plan: Plan, *, looks: int, rows: int = 200, accuracy: float = 0.9, ago_s: int = 400) -> None:
    """Begin to try version 2 some time ago, and look at it every 20 s, labels and all, up to the present."""
    live.clock_us = live.now_us - ago_s * SECOND_US
    live.rollouts.start(ServableId("digits", 2), plan, who="ann", why="sharper on sevens")
    for _ in range(looks):
        live.clock_us += 20 * SECOND_US
        live.traffic(rows, accuracy=accuracy)
        live.clock_us += SECOND_US
        live.rollouts.step_all()


def told(capsys: Capture, *command: str) -> Any:
    """What a command tells a program."""
    assert main([*command, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def shown(capsys: Capture, *command: str) -> str:
    """What a command tells a person, in lines that fit a terminal."""
    assert main([*command]) == 0
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines()) <= 100
    return out


# -- rollout -------------------------------------------------------------------------------------------------------


def test_a_rollout_begins_at_once_and_warns_that_nothing_guards_it(live: Logged, capsys: Capture) -> None:
    """The release gives the candidate its first weight; without a controller nobody would take it back."""
    assert main(["rollout", "start", "digits", "2", "--weights", "0.05,0.5", "--bake", "60", "--why", "sharper"]) == 0

    out, error = capsys.readouterr()
    release = live.store.release("digits")
    assert release is not None
    assert release.candidate is not None
    assert (release.candidate.version, release.candidate.mode, release.candidate.weight) == (2, "canary", 0.05)
    assert out.startswith("digits@2 is tried against 1: canary, step 1 of 2, a weight of 0.05 since ")
    assert "no controller runs" in error
    assert "fairlead controller" in error
    (rollout,) = told(capsys, "rollout", "status", "digits")["rollouts"]
    assert (rollout["plan"]["bake_s"], rollout["why"], rollout["status"]) == (60, "sharper", "running")


def test_while_a_controller_leads_it_is_named(live: Logged, capsys: Capture) -> None:
    """A lease that ended counts as none."""
    lease = Lease(live.engine, name=LEADER, holder="host:1", now=lambda: datetime.now(UTC))
    lease.acquire()

    assert main(["rollout", "start", "digits", "2"]) == 0
    assert "next: fairlead rollout status digits" in capsys.readouterr().err
    assert told(capsys, "rollout", "status")["controller"] == "host:1"
    assert "host:1 leads" in shown(capsys, "rollout", "status")
    lease.release()

    assert told(capsys, "rollout", "status")["controller"] is None
    assert "no controller runs" in shown(capsys, "rollout", "status")


@pytest.mark.parametrize(
    ("flags", "mode", "weights"),
    [
        ([], "canary", [0.01, 0.1, 0.5]),
        (["--mode", "shadow"], "shadow", []),
        (["--mode", "ab", "--min-labels", "500"], "ab", [0.5]),
        (["--mode", "ab", "--weights", "0.2", "--horizon", "3600"], "ab", [0.2]),
        (["--plan", "plan.json"], "canary", [0.3]),
        (["--plan", "plan.json", "--weights", "0.4,1"], "canary", [0.4, 1.0]),
        (["--plan", "plan.json", "--mode", "ab", "--min-labels", "500"], "ab", [0.3]),
    ],
)
def test_the_plan_is_the_file_and_the_flags(
    live: Logged,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    mode: str,
    weights: list[float],
) -> None:
    """Flags win; what neither names is as usual."""
    monkeypatch.chdir(live.root)
    Path("plan.json").write_text('{"mode": "canary", "weights": [0.3], "margin": 0.02}')

    (rollout,) = told(capsys, "rollout", "start", "digits", "2", *flags)["rollouts"]

    assert (rollout["plan"]["mode"], rollout["plan"]["weights"]) == (mode, weights)
    assert rollout["plan"]["margin"] == (0.02 if "--plan" in flags else 0.01)


def test_status_tells_what_every_guard_says_and_what_comes_next(live: Logged, capsys: Capture) -> None:
    """With the rows and labels that it rests on."""
    run(live, CANARY, looks=10)

    (rollout,) = told(capsys, "rollout", "status", "digits")["rollouts"]
    out = shown(capsys, "rollout", "status", "digits")

    rows, labels = rollout["rows"], rollout["labels"]
    assert rows["stable"] + rows["candidate"] >= 1000
    assert 0.15 < rows["candidate"] / (rows["stable"] + rows["candidate"]) < 0.25
    assert labels["candidate"] > 100
    assert f"stable {rows['stable']:,}, candidate {rows['candidate']:,}" in out
    assert "canary, step 1 of 2, a weight of 0.2 since" in out
    assert "the step's time is not over" in out
    for finding in rollout["findings"]:
        assert finding["guard"] in out
        assert finding["detail"][:40] in out
    verdicts = {finding["guard"]: finding["verdict"] for finding in rollout["findings"]}
    assert (verdicts["errors"], verdicts["load"]) == ("passed", "passed")


def test_status_tells_why_it_waits(live: Logged, capsys: Capture) -> None:
    """Time is over and traffic is missing."""
    run(live, Plan(mode=Mode.CANARY, weights=(0.2,), bake_s=30, min_requests=5000), looks=8, ago_s=170)

    out = shown(capsys, "rollout", "status", "digits")

    assert "it waits: " in out
    assert "of 5,000 requests answered" in " ".join(out.split())


def test_a_shadow_counts_pairs(live: Logged, capsys: Capture) -> None:
    """Both versions answer every row."""
    run(live, SHADOW, looks=6)

    (rollout,) = told(capsys, "rollout", "status", "digits")["rollouts"]

    assert rollout["rows"]["stable"] == rollout["rows"]["candidate"] > 0
    assert "shadow, which answers copies of all requests" in shown(capsys, "rollout", "status", "digits")


def test_status_without_a_model_is_of_all_that_runs(live: Logged, capsys: Capture) -> None:
    """And says so when none does; one that ended is shown to whoever asks for its model."""
    assert shown(capsys, "rollout", "status") == "no rollout runs; next: fairlead rollout start MODEL VERSION\n"
    assert "no version of digits was tried yet" in shown(capsys, "rollout", "status", "digits")
    run(live, CANARY, looks=1)
    assert "digits@2 against 1: running" in shown(capsys, "rollout", "status")
    assert main(["rollout", "abort", "digits", "--why", "enough"]) == 0
    capsys.readouterr()

    assert told(capsys, "rollout", "status")["rollouts"] == []
    out = shown(capsys, "rollout", "status", "digits")
    assert "digits@2 against 1: aborted" in out
    assert "enough" in out


def test_an_abort_gives_the_traffic_back(live: Logged, capsys: Capture) -> None:
    """At once, with the reason in release and history."""
    run(live, CANARY, looks=1)

    assert main(["rollout", "abort", "digits", "--why", "the wrong one"]) == 0

    assert capsys.readouterr().out == "digits@2 is tried no more; 1 goes on for everybody\n"
    release = live.store.release("digits")
    assert release is not None
    assert (release.stable, release.candidate) == (1, None)
    assert "the wrong one" in release.why
    assert main(["rollout", "abort", "digits"]) == 2
    assert "no rollout of digits runs" in capsys.readouterr().err


def test_a_person_wins_over_a_controller_that_notes_evidence_meanwhile(
    live: Logged, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever aborts does not have to try again because new rows came in at that moment."""
    run(live, CANARY, looks=1)
    real, meetings = Rollouts.require, [1, 1]

    def require(self: Rollouts, model: str) -> Rollout:
        found = real(self, model)
        if meetings:
            meetings.pop()
            live.rollouts._records.save(found)
        return found

    monkeypatch.setattr(Rollouts, "require", require)

    assert main(["rollout", "abort", "digits", "--why", "enough"]) == 0
    assert meetings == []
    assert [one.status for one in live.rollouts.of_model("digits")] == ["aborted"]


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        (["2", "--weights", "0.5,0.1"], 2, "weights (0.5, 0.1)"),
        (["2", "--weights", "0.5,1.5"], 2, "weights (0.5, 1.5)"),
        (["2", "--weights", "half"], 2, "--weights is 'half'"),
        (["2", "--min-requests", "1.5"], 2, "--min-requests is '1.5'"),
        (["2", "--plan", "falling.json"], 2, "weights (0.5, 0.1)"),
        (["2", "--plan", "torn.json"], 2, "the plan torn.json cannot be read"),
        (["2", "--plan", "absent.json"], 2, "the plan absent.json cannot be read"),
        (["2", "--mode", "ab"], 2, "an A/B needs exactly one"),
        (["9"], 2, "digits has no version 9: it has 1, 2"),
        (["1"], 1, "version 1 of digits is the stable one"),
    ],
)
def test_what_cannot_be_tried_changes_nothing(
    live: Logged, capsys: Capture, monkeypatch: pytest.MonkeyPatch, flags: list[str], status: int, message: str
) -> None:
    """A plan whose weights fall or exceed 1, a version that is not there, the stable one."""
    monkeypatch.chdir(live.root)
    Path("falling.json").write_text('{"mode": "canary", "weights": [0.5, 0.1]}')
    Path("torn.json").write_text('{"mode": ')
    before = live.store.release("digits")

    assert main(["rollout", "start", "digits", *flags]) == status

    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert live.store.release("digits") == before
    assert live.rollouts.of_model("digits") == []


def test_a_second_rollout_of_a_model_is_refused(live: Logged, capsys: Capture) -> None:
    """Two at once could not be told apart; the first goes on."""
    assert main(["rollout", "start", "digits", "2"]) == 0
    before = live.store.release("digits")
    live.publish()
    capsys.readouterr()

    assert main(["rollout", "start", "digits", "3"]) == 1

    error = capsys.readouterr().err
    assert "a rollout of digits runs already" in error
    assert "try: fairlead rollout status digits" in error
    assert live.store.release("digits") == before
    assert len(live.rollouts.of_model("digits")) == 1


def test_what_was_rolled_back_needs_a_person_to_say_again(live: Logged, capsys: Capture) -> None:
    """The refusal names the flag."""
    live.store.promote(ServableId("digits", 2), why="good")
    live.store.rollback("digits", why="bad")

    assert main(["rollout", "start", "digits", "2"]) == 1
    assert "--again" in capsys.readouterr().err
    assert main(["rollout", "start", "digits", "2", "--again"]) == 0


# -- experiment ----------------------------------------------------------------------------------------------------


def test_an_experiment_is_reported_with_effect_and_certainty(live: Logged, capsys: Capture) -> None:
    """At the horizon, the counts are those of that moment, however many labels came since."""
    run(live, AB, looks=12, accuracy=0.98)

    report = told(capsys, "experiment", "report", "digits")
    out = shown(capsys, "experiment", "report", "digits")

    (half,) = report["weights"]
    assert report["is_at_horizon"]
    assert half["candidate"]["labelled"] == 400
    assert 0.04 < half["effect"] < 0.13
    assert (report["low"] > 0, half["p"] < 0.01, report["is_valid"]) == (True, True, True)
    assert half["needed_candidate_labels"] > 1000
    assert out.startswith("digits@2 against 1: A/B, ")
    assert "The candidate is right more often, by " in out
    assert "these are the counts of that moment" in " ".join(out.split())
    assert f"p-value        {half['p']:.3g}" in out


def test_before_the_horizon_a_report_says_that_it_is_early(live: Logged, capsys: Capture) -> None:
    """The interval is for one look, and this is not it."""
    run(live, AB, looks=3)

    report = told(capsys, "experiment", "report", "digits")

    assert not report["is_at_horizon"]
    assert (
        "one look, at the horizon set beforehand (400 labels of the candidate), which is not reached" in report["look"]
    )
    assert "No difference was shown: it may be" in report["meaning"]
    assert "more labels are needed to tell" in report["meaning"]


def test_a_canary_is_compared_within_each_weight(live: Logged, capsys: Capture) -> None:
    """Labels of before and after a step are never pooled."""
    plan = Plan(mode=Mode.CANARY, weights=(0.2, 0.5), bake_s=100, min_requests=100)
    run(live, plan, looks=15)

    report = told(capsys, "experiment", "report", "digits")
    out = shown(capsys, "experiment", "report", "digits")

    assert [one["weight"] for one in report["weights"]] == [0.2, 0.5]
    assert "all weights together: 95% interval" in out
    assert "the plan sets none" in " ".join(out.split())


def test_a_split_that_is_off_is_no_comparison(live: Logged, capsys: Capture) -> None:
    """Whatever the accuracies say."""
    run(live, AB, looks=1)
    row = live.log.newest("digits", limit=1)[0].row
    live.clock_us += 10 * SECOND_US
    live.ship([replace(row, id=live.new_id(live.clock_us), at_us=live.clock_us) for _ in range(300)])
    live.clock_us += SECOND_US
    live.rollouts.step_all()

    report = told(capsys, "experiment", "report", "digits")

    assert not report["is_valid"]
    assert "The arms cannot be compared: the candidate got " in report["meaning"]
    assert "OFF (p = " in shown(capsys, "experiment", "report", "digits")


def test_a_shadow_is_compared_pair_by_pair(live: Logged, capsys: Capture) -> None:
    """Rows on which the versions agree say nothing about which is better."""
    run(live, SHADOW, looks=8, accuracy=0.96)

    report = told(capsys, "experiment", "report", "digits")
    out = shown(capsys, "experiment", "report", "digits")

    assert report["labelled"] > 500
    assert report["effect"] == pytest.approx(
        (report["only_candidate_right"] - report["only_stable_right"]) / report["labelled"]
    )
    assert report["p"] < 0.01
    assert "The candidate is right more often" in out


def test_an_experiment_that_is_not_there_is_told_with_those_that_are(live: Logged, capsys: Capture) -> None:
    """By the beginning of its id, each can be named."""
    assert main(["experiment", "report", "digits"]) == 2
    assert "try: fairlead rollout start digits VERSION --mode ab" in capsys.readouterr().err
    run(live, AB, looks=0)
    (rollout,) = live.rollouts.of_model("digits")

    assert "labels are missing" in shown(capsys, "experiment", "report", "digits", "--rollout", rollout.id[:8])
    assert main(["experiment", "report", "digits", "--rollout", "nosuch"]) == 2
    assert f"rollouts there: {rollout.id}" in capsys.readouterr().err
    assert main(["experiment", "report", "nosuch"]) == 2
    assert "there is no model 'nosuch'" in capsys.readouterr().err
