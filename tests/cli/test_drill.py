"""`fairlead drill`: whole incidents on real servers; the live set-up is as it was, and nothing is left behind."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.app.test_drill import digests

from fairlead.app.control import open_database, open_journal, open_rollouts
from fairlead.app.drill.drill import STEPS
from fairlead.cli.main import main
from fairlead.config import Settings
from fairlead.controller.backup import find_backup
from fairlead.controller.journal import Action
from fairlead.controller.rollout_record import Status
from fairlead.database.engine import open_engine
from fairlead.rollout.plan import Mode, Plan
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

CANARY = Plan(mode=Mode.CANARY, weights=(0.5,))
# Settings of a live server: one that the drill starts must hear none of them.
TRAPS = {
    "API_KEY": "a-key-that-the-live-server-asks-for",
    "FAIRLEAD_MODEL_BASE_PATH": "/nowhere",
    "FAIRLEAD_MODEL_CONFIG_FILE": "/nowhere",
    "FAIRLEAD_PREDICTION_LOG": "off",
    "FAIRLEAD_WORKERS": "1",
}


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A drill that is over: its exit status, what it printed, and the live set-up before and after."""

    status: int
    out: str
    before: dict[str, str]
    after: dict[str, str]
    scratch: Path
    live: Settings

    @property
    def report(self) -> Any:
        """Its report, of a drill that was asked for JSON."""
        return json.loads(self.out)


def live_in(root: Path) -> Settings:
    """A set-up with a registry and a database beside the store; version 2 serves, and version 3 is being tried."""
    settings = replace(Settings(), home=root / "home", store=root / "store", database_url=f"sqlite:///{root}/own.db")
    store = WritableStore(root / "store", now=lambda: datetime(2026, 1, 1, tzinfo=UTC), who="tester")
    for digit in (1, 7, 3):
        publish_digit(store, "digits", digit)
    for version in (1, 2):
        store.promote(ServableId("digits", version), why="good")
    engine = open_database(settings)
    open_rollouts(settings, engine).start(ServableId("digits", 3), CANARY, who="tester", why="new")
    engine.dispose()
    registry = open_engine(f"sqlite:///{root}/home/mlflow.db")
    with registry.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE runs (name)")
    registry.dispose()
    return settings


def run(root: Path, *flags: str, live: Settings) -> Ran:
    """One drill in this process, with the directory for temporary files in `root`."""
    scratch = root / "tmp"
    scratch.mkdir()
    before = digests(live.home, live.store_path) | digests(root)
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr("tempfile.tempdir", str(scratch))
        for name, value in (TRAPS | flags_of(live)).items():
            patch.setenv(name, value)
        status = main(["drill", *flags])
    after = {path: digest for path, digest in digests(root).items() if not path.startswith(str(scratch))}
    return Ran(status=status, out=out.getvalue(), before=before, after=after, scratch=scratch, live=live)


def flags_of(live: Settings) -> dict[str, str]:
    """The live set-up as the environment tells of it."""
    return {
        "FAIRLEAD_HOME": str(live.home),
        "FAIRLEAD_STORE": str(live.store_path),
        "FAIRLEAD_DATABASE_URL": live.database,
    }


def left_in(directory: Path) -> list[Path]:
    """What is there; ONNX Runtime puts a file of its own beside."""
    return [path for path in directory.iterdir() if path.name != ".ses"]


def running_in(directory: Path) -> list[str]:
    """The command lines of processes that were told of the directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            found += [line] if str(directory) in line and process.pid != os.getpid() else []
    return found


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A whole drill, reported as JSON, whose scratch directory is kept."""
    root = tmp_path_factory.mktemp("drill")
    return run(root, "--json", "--keep", live=live_in(root))


def step(ran: Ran, name: str) -> Any:
    """What the report says of one step."""
    return next(one for one in ran.report["steps"] if one["step"] == name)


def test_every_step_is_taken_and_holds(ran: Ran) -> None:
    """In order, within three minutes, with exit status 0."""
    assert [(one["step"], one["held"]) for one in ran.report["steps"]] == [(name, True) for name in STEPS], ran.out
    assert (ran.status, ran.report["held"], ran.report["untried"]) == (0, True, [])
    assert (ran.report["model"], ran.report["stable"], ran.report["bad"]) == ("digits", 2, 4)
    assert ran.report["seconds"] < 180
    assert "everything held" in ran.report["summary"]


def test_the_live_set_up_is_as_it_was(ran: Ran) -> None:
    """Every file of its store, home and database has the digest that it had, and there is none more or less."""
    assert len(ran.before) > 15
    assert ran.after == ran.before


def test_the_bad_version_is_caught_by_a_guard(ran: Ran) -> None:
    """By what it answers, before the canary's share grew; the figures are those of the guard."""
    caught = step(ran, "caught")

    assert {guard["guard"] for guard in caught["figures"]["guards"]} & {"accuracy", "class shares"}
    assert all(guard["verdict"] == "failed" and guard["figures"] for guard in caught["figures"]["guards"])
    assert step(ran, "canary")["seconds"] < caught["seconds"] < 60
    assert step(ran, "stable again")["seconds"] < 10


def test_its_harm_is_counted(ran: Ran) -> None:
    """All that it answered was wrong; in the canary that is a small share of the requests, of which none failed."""
    harm = step(ran, "stable again")["figures"]

    assert 0 < harm["bad_answers"] == harm["wrong_answers"] < 0.35 * harm["answers"]
    assert step(ran, "requests")["figures"]["failures"] == []
    assert step(ran, "requests")["figures"]["answered"] > harm["answers"]
    assert step(ran, "requests")["figures"]["labels"] > 50


def test_what_was_promoted_by_hand_is_rolled_back_within_ten_seconds(ran: Ran) -> None:
    """Until no worker answers from it."""
    assert step(ran, "rolled back by hand")["seconds"] <= 10
    assert step(ran, "rolled back by hand")["figures"]["wrong_answers"] >= 50


def test_damage_is_noticed_and_a_bad_backup_refused(ran: Ran) -> None:
    """With the file that is damaged, and why."""
    missing, flipped = step(ran, "damaged")["figures"]["noticed"]

    assert "its manifest lists" in missing
    assert "is damaged" in flipped
    assert "has the SHA-256" in step(ran, "bad backup refused")["figures"]["refusal"]


def test_no_process_is_left_behind(ran: Ran) -> None:
    """The scratch directory alone, since it was asked for."""
    assert running_in(ran.scratch) == []
    assert [str(path) for path in left_in(ran.scratch)] == [ran.report["scratch"]]


def test_the_kept_copy_tells_of_the_incident(ran: Ran) -> None:
    """In its rollouts, its journal, its backups and its release; what was being tried is not tried in the copy."""
    scratch = Path(ran.report["scratch"])
    settings = replace(Settings(), home=scratch / "home", store=scratch / "home" / "store")
    engine = open_database(settings)
    tried = open_rollouts(settings, engine).of_model("digits")
    done = [(entry.action, entry.subject) for entry in open_journal(engine).read("digits")]
    engine.dispose()
    release = Store(settings.store_path).release("digits")

    assert [(one.candidate, one.status) for one in tried] == [(4, Status.ROLLED_BACK), (3, Status.ABORTED)]
    assert (Action.ROLLED_BACK, "4") in done
    assert find_backup(scratch / "backups").why == "a drill: before the damage"
    assert release is not None
    assert (release.stable, release.candidate) == (2, None)


def test_a_drill_whose_step_did_not_hold_ends_with_status_1(tmp_path: Path) -> None:
    """A live database that is damaged cannot be backed up: the report says so, and what it never came to."""
    live = live_in(tmp_path)
    Path(tmp_path / "own.db").write_bytes(b"no database at all" * 1000)

    ran = run(tmp_path, "digits", live=live)

    lines = ran.out.splitlines()
    assert ran.status == 1
    assert lines[0].split() == ["STEP", "SECONDS", "WHAT", "HAPPENED"]
    assert lines[1].startswith("live backed up  ")
    assert "  did not hold  " in lines[1]
    assert any(line.startswith("cleared  ") and "  held  " in line for line in lines)
    assert lines[-1].startswith("2 steps in 0 s: did not hold: live backed up; it never came to: copy restored, ")
    assert left_in(ran.scratch) == []
    assert ran.after == ran.before


@pytest.fixture
def under_way(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A drill in a process of its own, whose server is up."""
    (tmp_path / "tmp").mkdir()
    environ = {**os.environ, **flags_of(live_in(tmp_path)), "TMPDIR": str(tmp_path / "tmp")}
    command = [sys.executable, "-m", "fairlead.cli.main", "drill"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("canary "):
                break
        yield process
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_drill_that_is_ended_stops_what_it_started(
    under_way: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    """Whichever signal it was: no process and no scratch directory are left."""
    assert running_in(tmp_path / "tmp")
    under_way.send_signal(number)
    began = time.monotonic()
    _, err = under_way.communicate(timeout=60)

    assert (under_way.returncode, err.splitlines()[-1]) == (1, "stopped")
    assert time.monotonic() - began < 30
    assert running_in(tmp_path / "tmp") == []
    assert left_in(tmp_path / "tmp") == []
