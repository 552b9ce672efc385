"""What a drill refuses, what its bad version is, and how it reads traffic and damage; `tests/cli` runs whole drills."""

from __future__ import annotations

import hashlib
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.database.postgres import postgres_server

from fairlead.app.control import open_database, open_journal
from fairlead.app.drill.bad_version import publish_bad
from fairlead.app.drill.drill import STEPS, drill
from fairlead.app.drill.incident import _tell_end
from fairlead.app.drill.recovery import COPY, copy_live
from fairlead.app.drill.report import Book, Line, Report, Step
from fairlead.app.drill.scene import Scene
from fairlead.app.drill.traffic import Answer, Row, Traffic, rows_like_golden
from fairlead.config import Settings
from fairlead.controller.journal import Action
from fairlead.controller.rollout_record import Intent, Rollout, Status
from fairlead.errors import Code, FairleadError
from fairlead.rollout.evidence import Evidence
from fairlead.rollout.plan import Mode, Plan
from fairlead.rollout.state import State
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import MODEL_FILE, OnnxLoader, open_model
from fairlead.store.store import Version
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE, publish_digit

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def live(tmp_path: Path, store: WritableStore) -> Settings:
    """The settings of a set-up over `store`."""
    return replace(Settings(), home=tmp_path / "home", store=store.root)


def digests(*directories: Path) -> dict[str, str]:
    """Every file under the directories, and the SHA-256 of each; but for SQLite's shared memory, which is no data."""
    files = [path for directory in directories for path in directory.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files if path.suffix != ".db-shm"}


def republish(store: WritableStore, version: Version, **changes: object) -> ServableId:
    """Publish the version once more with another manifest, and release it."""

    def describe(number: int, files: Mapping[str, str]) -> Manifest:
        return replace(version.manifest, version=number, files=files, **changes)  # type: ignore[arg-type]

    sources = {name: version.directory / name for name in version.manifest.files}
    id_ = store.publish(version.manifest.model, sources, describe).manifest.id
    store.promote(id_, why="")
    return id_


# -- what is refused -------------------------------------------------------------------------------------------------


def refused(live: Settings, model: str | None = None) -> FairleadError:
    """The error of a drill that must not begin; no step is taken, and nothing is changed."""
    before = digests(live.store_path)
    steps: list[Step] = []
    with pytest.raises(FairleadError) as caught:
        drill(live, model, on_step=steps.append)
    assert steps == []
    assert digests(live.store_path) == before
    assert not live.home.exists()
    return caught.value


def test_a_store_that_is_none_is_refused(live: Settings) -> None:
    """As by every other command."""
    assert refused(live).code is Code.NOT_FOUND


def test_an_empty_store_is_refused(live: Settings, store: WritableStore) -> None:
    """There is no model to practise with."""
    store.root.mkdir()

    assert refused(live).code is Code.NOT_FOUND


def test_an_unknown_model_is_refused(live: Settings, store: WritableStore) -> None:
    """With those that are there."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")

    error = refused(live, "letters")

    assert (error.code, error.hint) == (Code.NOT_FOUND, "models there: digits")
    assert "'letters'" in error.message


@pytest.mark.parametrize("model", [None, "digits"])
def test_a_model_without_a_release_is_refused(live: Settings, store: WritableStore, model: str | None) -> None:
    """Nothing serves that could be kept from harm."""
    publish_digit(store, "digits", 7)

    error = refused(live, model)

    assert (error.code, error.hint) == (Code.FAILED_PRECONDITION, "fairlead promote digits VERSION")
    assert "digits has no release" in error.message


def test_of_several_models_one_must_be_named(live: Settings, store: WritableStore) -> None:
    """Those without a release do not count."""
    for model in ("digits", "letters", "numbers"):
        publish_digit(store, model, 7)
    for model in ("digits", "letters"):
        store.promote(ServableId(model, 1), why="")

    error = refused(live)

    assert (error.code, error.hint) == (Code.INVALID_ARGUMENT, "fairlead drill digits")
    assert "digits, letters" in error.message


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"labels": ()}, "is no classifier"),
        ({"labels": ("only",)}, "is no classifier"),
        ({"labels": ("a", "b", "c")}, "not one for each of its 3 classes"),
        ({"runtime": "tensorflow"}, "runs on tensorflow"),
        (
            {"signature": replace(DIGIT_SIGNATURE, outputs=(replace(DIGIT_SIGNATURE.outputs[0], dtype="int64"),))},
            "is no classifier",
        ),
    ],
)
def test_a_model_that_cannot_be_spoilt_is_refused(
    live: Settings, store: WritableStore, changes: dict[str, object], told: str
) -> None:
    """What is no classifier, or no ONNX model, is said to be so."""
    id_ = republish(store, publish_digit(store, "digits", 7), **changes)

    error = refused(live)

    assert error.code is Code.FAILED_PRECONDITION
    assert str(id_) in error.message
    assert told in error.message


def test_without_the_onnx_package_the_command_that_installs_it_is_told(
    live: Settings, store: WritableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is copied."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    monkeypatch.setitem(sys.modules, "onnx", None)

    error = refused(live)

    assert (error.code, error.hint) == (Code.FAILED_PRECONDITION, "pip install 'fairlead[control]' onnx")


def test_a_damaged_champion_is_refused(live: Settings, store: WritableStore) -> None:
    """That is an incident already."""
    published = publish_digit(store, "digits", 7)
    store.promote(published.manifest.id, why="")
    (published.directory / MODEL_FILE).write_bytes(b"damaged")

    assert refused(live).code is Code.DATA_LOSS


def test_a_backup_that_cannot_be_made_is_a_step_that_did_not_hold(
    live: Settings, store: WritableStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The report says why and what it never came to; what was made is cleared."""
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    live.home.mkdir()
    (live.home / "fairlead.db").write_bytes(b"no database at all" * 1000)

    report = drill(live, None, on_step=lambda _: None)

    assert [(step.name, step.held) for step in report.steps] == [("live backed up", False), ("cleared", True)]
    assert "is damaged" in report.steps[0].what
    assert report.untried == tuple(name for name in STEPS if name not in {"live backed up", "cleared"})
    assert not report.held
    assert report.bad is None
    assert "did not hold: live backed up; it never came to: copy restored, bad version" in report.sentence
    assert list(scratch.iterdir()) == []


# -- the bad version -------------------------------------------------------------------------------------------------


def test_the_bad_version_is_whole_and_wrong(store: WritableStore) -> None:
    """It is the good one with each score a class further on: it proves itself, and answers every row otherwise."""
    good = publish_digit(store, "digits", 9)
    bad = publish_bad(store, good, at=NOW)

    loaded = OnnxLoader().load(store.open(bad.manifest.id).directory)
    servable, signature = loaded.servables["serving_default"], loaded.signatures["serving_default"]
    images = np.random.default_rng(1).random((20, 28, 28, 1), np.float32)
    want = open_model(good.directory / MODEL_FILE)[0].predict({"image": images})["probs"]

    assert Golden.load(bad.directory / GOLDEN_FILE).prove(servable) == 0.0
    assert signature == DIGIT_SIGNATURE
    np.testing.assert_array_equal(servable.predict({"image": images})["probs"], np.roll(want, 1, axis=1))
    assert (bad.manifest.labels, bad.manifest.signature, bad.manifest.transform) == (
        good.manifest.labels,
        good.manifest.signature,
        good.manifest.transform,
    )
    assert (bad.manifest.version, bad.manifest.metrics, bad.manifest.gate) == (2, {}, {})
    assert bad.manifest.lineage == {"drill": "digits@1 with its classes shifted by one"}


def test_the_rows_are_like_the_golden_ones(store: WritableStore) -> None:
    """The golden rows come first, then neighbours of them within their range; the truth is what the version says."""
    good = publish_digit(store, "digits", 7)

    rows = rows_like_golden(good, seed=1)

    assert len(rows) == 64
    assert {row.truth for row in rows} == {"7"}
    assert len({row.body for row in rows}) == 64
    assert rows == rows_like_golden(good, seed=1)
    assert rows[3:] != rows_like_golden(good, seed=2)[3:]
    golden = Golden.load(good.directory / GOLDEN_FILE).inputs["image"]
    assert rows[0].body == b'{"instances": [' + str(golden[0].tolist()).encode() + b"]}"


# -- the traffic -----------------------------------------------------------------------------------------------------


def test_it_is_settled_when_others_have_been_silent_for_long_enough() -> None:
    """Enough answers of the one version, after a while without any of another; it counts from the given moment on."""
    traffic = Traffic(0, "digits", ())
    now_s = time.monotonic()
    since_s = now_s - 10.0
    traffic.answers = [
        Answer(since_s + at_s, version, True) for at_s, version in ((-1, 2), (1, 1), (2, 2), (3, 1), (4, 1))
    ]

    def settled(version: int, *, quiet_s: float = 5.0, least: int = 2) -> float | None:
        return traffic.settled(version, since_s=since_s, quiet_s=quiet_s, least=least)

    assert settled(1) == pytest.approx(2.0)
    assert settled(1, least=3) is None
    assert settled(1, quiet_s=9.0) is None
    assert settled(2, least=0, quiet_s=0.0) == pytest.approx(4.0)
    assert traffic.settled(1, since_s=since_s + 2.5, quiet_s=5.0, least=2) == 0.0


def test_a_server_that_is_not_there_is_a_failed_request() -> None:
    """Each request that brought no answer is counted."""
    with Traffic(1, "digits", (Row(body=b"{}", truth="7"),)) as traffic:
        deadline = time.monotonic() + 10
        while not traffic.failures and time.monotonic() < deadline:
            time.sleep(0.01)

    assert traffic.answers == []
    assert "POST /predict?model=digits brought no answer" in traffic.failures[0]


# -- the copy --------------------------------------------------------------------------------------------------------


def copied(live: Settings, root: Path) -> tuple[Scene, list[Step]]:
    """The scene with the live set-up in it."""
    root.mkdir()
    scene = Scene(root, "digits", ends_at_s=time.monotonic() + 60)
    book = Book(COPY, lambda _: None)
    copy_live(live, scene, book)
    return scene, book.steps


def test_what_a_killed_process_left_in_the_log_is_copied_and_left_there(
    live: Settings, store: WritableStore, tmp_path: Path
) -> None:
    """The copy has the rows that the live database's log alone holds; the live files are as they were."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    open_database(live).dispose()
    script = (
        "import os, signal, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA journal_mode=WAL'); c.execute('CREATE TABLE late (x)'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(live.home / "fairlead.db")], check=False)
    assert done.returncode == -signal.SIGKILL
    before = digests(live.home, store.root)
    assert str(live.home / "fairlead.db-wal") in before

    scene, steps = copied(live, tmp_path / "scratch")

    assert [step.held for step in steps] == [True, True]
    assert digests(live.home, store.root) == before
    with closing(sqlite3.connect(scene.settings.home / "fairlead.db")) as connection:
        assert connection.execute("SELECT count(*) FROM late").fetchone() == (0,)


def test_a_damaged_version_that_does_not_serve_is_left_out_and_told(
    live: Settings, store: WritableStore, tmp_path: Path
) -> None:
    """Backups lack it: that step did not hold, and the drill goes on."""
    (publish_digit(store, "digits", 1).directory / MODEL_FILE).write_bytes(b"damaged")
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")

    scene, steps = copied(live, tmp_path / "scratch")

    assert [step.held for step in steps] == [False, True]
    assert "digits@1 is damaged and left out" in steps[0].what
    assert WritableStore(scene.settings.store_path, now=lambda: NOW, who="").versions("digits") == (2,)


def test_a_postgresql_database_is_dumped_and_not_loaded(live: Settings, store: WritableStore, tmp_path: Path) -> None:
    """A second server would be needed; the copy gets an empty database of its own."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    with postgres_server() as server:
        live = replace(live, database_url=server.url(server.database()))
        engine = open_database(live)
        open_journal(engine).write(Action.DELETED, model="digits")
        scene, steps = copied(live, tmp_path / "scratch")
        assert len(open_journal(engine).read()) == 1
        engine.dispose()

    assert [step.held for step in steps] == [True, True]
    assert "database (a dump)" in steps[0].what
    assert steps[1].what.endswith("the dump of PostgreSQL is whole and was not loaded")
    assert not (scene.settings.home / "fairlead.db").exists()
    assert scene.settings.database.startswith("sqlite:///")


def test_all_waiting_ends_with_the_drill(tmp_path: Path) -> None:
    """What does not come in time is said; at the drill's own end no wait goes on."""
    scene = Scene(tmp_path, "digits", ends_at_s=time.monotonic() + 0.2)

    assert scene.wait(lambda: 0.0, 60, "zero is something") == 0.0
    with pytest.raises(FairleadError, match="not within 0 s: rain") as caught:
        scene.wait(lambda: None, 60, "rain")

    assert caught.value.code is Code.DEADLINE_EXCEEDED


# -- the incident ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.PROMOTED, Status.ROLLED_BACK])
def test_a_bad_version_that_no_guard_caught_did_not_hold(status: Status) -> None:
    """Also when it was rolled back, since time alone did that."""
    plan = Plan(mode=Mode.CANARY, weights=(0.1,))
    ended = Rollout(
        id="r",
        model="digits",
        candidate=2,
        baseline=1,
        plan=plan,
        state=State.begin(plan, 0),
        evidence=Evidence.begin(plan, 0),
        steps=(),
        position=0,
        label_position=0,
        intent=Intent(status=status, reason="the time was over", who="controller"),
        reason="",
        status=status,
        who="drill",
        why="",
        started_us=0,
    )
    line = Line(seconds=1.0)

    _tell_end(line, ended)

    assert not line.held
    assert line.what == f"by no guard; the rollout is {status}: the time was over"


# -- the report ------------------------------------------------------------------------------------------------------


def test_a_step_that_raises_did_not_hold() -> None:
    """Its words are the error's, and the error goes on."""
    told: list[Step] = []
    book = Book(("first", "second", "third"), told.append)
    with book.step("first") as line:
        line.what, line.seconds = "well", 3.0
    with pytest.raises(FairleadError), book.step("second"):
        raise FairleadError(Code.UNAVAILABLE, "nobody answers", hint="look")

    assert [(step.name, step.what, step.held) for step in told] == [
        ("first", "well", True),
        ("second", "nobody answers (look)", False),
    ]
    assert (told[0].seconds, book.has_failed, book.untried) == (3.0, True, ("third",))


def test_a_drill_that_did_not_come_to_every_step_did_not_hold() -> None:
    """Though all that it came to held."""
    step = Step(name="first", what="well", seconds=1.0, held=True)
    whole = Report(
        stable=ServableId("digits", 1),
        bad=ServableId("digits", 2),
        steps=(step,),
        untried=(),
        seconds=1.0,
        scratch="",
    )

    assert whole.held
    assert whole.sentence.startswith("1 steps in 1 s: everything held.")
    assert not replace(whole, untried=("second",)).held
    assert not replace(whole, steps=(replace(step, held=False),)).held
