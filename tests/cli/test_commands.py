"""The commands that look at releases and change them: what they print, and what they exit with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fairlead.cli.main import VERBS, main
from fairlead.servable.identity import ServableId
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test writes into a home of its own."""
    monkeypatch.setenv("FAIRLEAD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FAIRLEAD_STORE", str(tmp_path / "store"))


@pytest.fixture
def three(store: WritableStore) -> WritableStore:
    """Three versions, of which the second is stable after the first was."""
    for digit in (1, 2, 3):
        publish_digit(store, "digits", digit)
    for version in (1, 2):
        store.promote(ServableId("digits", version), why="good")
    return store


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_help_with_an_example(verb: str, capsys: Capture) -> None:
    """And the help is had without the training libraries."""
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])

    assert ended.value.code == 0
    assert f"example:\n  fairlead {verb}" in capsys.readouterr().out


def test_without_a_command_the_use_is_shown(capsys: Capture) -> None:
    """Exit status 2, as for every misuse."""
    with pytest.raises(SystemExit) as ended:
        main([])

    assert ended.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_the_version_is_told(capsys: Capture) -> None:
    """For bug reports."""
    with pytest.raises(SystemExit):
        main(["--version"])

    assert capsys.readouterr().out.startswith("fairlead 0.")


def test_versions_are_listed_with_what_serves(three: WritableStore, capsys: Capture) -> None:
    """Newest first, damage in its own line."""
    (three.root / "digits" / "1" / "manifest.json").write_text("{}")
    three.promote(ServableId("digits", 3), why="", label="canary")

    assert main(["versions", "digits"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[:2] for line in lines[1:]] == [["3", "canary"], ["2", "stable"], ["1", "-"]]
    assert "damaged" in lines[3]
    assert "manifest.json is not a manifest" in lines[3]


def test_versions_as_json(three: WritableStore, capsys: Capture) -> None:
    """The same for programs."""
    assert main(["versions", "digits", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)

    assert (listed["model"], listed["revision"]) == ("digits", 2)
    assert [(version["version"], version["serves_as"]) for version in listed["versions"]] == [
        (3, []),
        (2, ["stable"]),
        (1, []),
    ]


def test_a_reader_that_has_seen_enough_is_no_failure_to_tell(three: WritableStore) -> None:
    """As `fairlead versions | head -1`: it ends, and says nothing on standard error."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "fairlead.cli.main", "versions", "digits", "--store", str(three.root)],
            stdout=write,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(write)

    assert (done.returncode, done.stderr) == (1, b"")


def test_promote_and_rollback_move_what_serves(three: WritableStore, capsys: Capture) -> None:
    """The output says from where to where; the history keeps why."""
    assert main(["promote", "digits", "3", "--why", "better on sevens"]) == 0
    assert capsys.readouterr().out == "stable: digits@3 (release 3)\n"
    assert main(["rollback", "digits"]) == 0
    assert capsys.readouterr().out == "stable: digits@2, no longer 3 (release 4)\n"
    assert main(["rollback", "digits", "--to", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "model": "digits",
        "revision": 5,
        "stable": 1,
        "left": 2,
        "passed_over": {},
    }
    assert [release.why for release in three.history("digits")][2] == "better on sevens"


def test_rollback_needs_the_store_alone(three: WritableStore, tmp_path: Path) -> None:
    """With registry and database gone, and with no library of the control plane to be found."""
    program = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('mlflow', 'sqlalchemy', 'alembic', 'tensorflow', 'keras', 'sklearn'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'mlflow' else real(name, *a)\n"
        "from fairlead.cli.main import main\n"
        "sys.exit(main(['rollback', 'digits']))\n"
    )
    shutil.rmtree(tmp_path / "home", ignore_errors=True)

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "stable: digits@1, no longer 2 (release 3)\n"
    assert not (tmp_path / "home").exists()


ANY_PORTS = ("--rest-port", "0", "--grpc-port", "0", "--management-port", "0")
CONTROL = (
    ("labels", "import", "truth.csv"),
    ("quality", "digits"),
    ("rollout", "start", "digits", "3"),
    ("rollout", "status"),
    ("rollout", "abort", "digits", "--why", "enough"),
    ("experiment", "report", "digits"),
    ("backup",),
    ("restore",),
)


def test_without_the_control_plane_its_commands_say_how_to_install_it(three: WritableStore, tmp_path: Path) -> None:
    """The base install shows all help, and the history as far as the store knows it."""
    program = (
        "import json, sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('sqlalchemy', 'alembic', 'apprise', 'cronsim'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "from fairlead.cli.main import VERBS, main\n"
        "for verb in VERBS:\n"
        "    try:\n"
        "        main([verb, '--help'])\n"
        "    except SystemExit as ended:\n"
        "        assert ended.code == 0\n"
        "for command in json.loads(sys.argv[1]):\n"
        "    print(f'exit {main(command)}', file=sys.stderr)\n"
        "main(['history', 'digits'])\n"
    )
    command = [sys.executable, "-c", program, json.dumps(CONTROL)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    for start in range(0, 3 * len(CONTROL), 3):
        assert lines[start].endswith(" needs sqlalchemy, which is not installed")
        assert lines[start + 1 : start + 3] == ["  try: pip install 'fairlead[control]'", "exit 1"]
    assert "the store's releases alone" in lines[-1]
    assert done.stdout.splitlines()[-1].endswith("release 2  2 serves  by tester: good")
    assert not (tmp_path / "home").exists()


def test_rollback_with_a_registry_that_is_down_says_so_afterwards(
    three: WritableStore, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The release is in force first; the warning comes second and the status is 0."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    assert main(["rollback", "digits"]) == 0

    assert "the registry could not follow" in capsys.readouterr().err
    assert three.history("digits")[-1].stable == 1


@pytest.mark.parametrize(
    ("command", "status", "message", "hint"),
    [
        (["versions", "nosuch"], 2, "there is no model 'nosuch'", "models there: digits"),
        (["versions", "../etc"], 2, "'../etc' is not a model name", "letters"),
        (["promote", "nosuch", "1"], 2, "there is no model 'nosuch'", "models there: digits"),
        (["promote", "digits", "9"], 2, "digits has no version 9: it has 1, 2, 3", "fairlead versions digits"),
        (["promote", "digits", "3", "--label", "a b"], 2, "'a b' is not a label", "letters"),
        (["promote", "digits", "3", "--label", "stable"], 2, "follows promotions", "without --label"),
        (["rollback", "nosuch"], 2, "there is no model 'nosuch'", "models there: digits"),
        (["rollback", "digits", "--to", "9"], 2, "digits has no version 9", "fairlead versions digits"),
        (["train", "nosuch"], 2, "there is no recipe 'nosuch'", "digits"),
        (["train", "digits", "--profile", "fast"], 2, "'fast' is not a profile", "dev"),
        (["serve", "--rest-port", "99999"], 2, "--rest-port is '99999'", "port"),
        (["serve", "--threads", "0"], 2, "--threads is '0'", "threads"),
        (["serve", *ANY_PORTS, "--store", "/proc/version"], 2, "is not a directory", "--store"),
        (["serve", *ANY_PORTS, "--store", "/proc"], 1, "is not a model store", "--store"),
    ],
)
def test_misuse_is_said_with_the_value_and_the_way_on(
    three: WritableStore, capsys: Capture, command: list[str], status: int, message: str, hint: str
) -> None:
    """One line for what is wrong and one for what to try; no traceback."""
    assert main(command) == status
    error = capsys.readouterr().err

    assert message in error
    assert hint in error.split("try: ")[1]
    assert "Traceback" not in error
    assert [release.stable for release in three.history("digits")] == [1, 2]


def test_a_damaged_manifest_is_named(three: WritableStore, capsys: Capture) -> None:
    """With the file and what is wrong in it."""
    (three.root / "digits" / "3" / "manifest.json").write_text('{"schema_version": 1}')

    assert main(["promote", "digits", "3"]) == 1

    assert "3/manifest.json is not a manifest: KeyError: 'model'" in capsys.readouterr().err


def test_a_bad_setting_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """By its variable."""
    monkeypatch.setenv("FAIRLEAD_ENV", "production")

    assert main(["versions", "digits"]) == 2

    assert "FAIRLEAD_ENV is 'production': must be one of dev, staging, prod" in capsys.readouterr().err


FREE_PORTS = ("--rest-port", "0", "--grpc-port", "0", "--management-port", "0")


def test_doctor_exits_by_what_it_found(three: WritableStore, capsys: Capture) -> None:
    """0 when nothing would break, 1 with a released version that would not load."""
    assert main(["doctor", *FREE_PORTS]) == 0
    assert "ok    digits@2: 2 files, every byte as published and released" in capsys.readouterr().out
    (three.root / "digits" / "2" / "model.onnx").write_bytes(b"rot")

    assert main(["doctor", *FREE_PORTS]) == 1

    out = capsys.readouterr().out
    assert "FAIL  digits@2" in out
    assert "try: fairlead rollback digits" in out
    main(["doctor", *FREE_PORTS, "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {finding["name"]: finding["health"] for finding in findings}["digits@2"] == "failed"
