"""`fairlead init`: what it writes works as it is, and it overwrites nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from tests.test_docs import parser

from fairlead.app.training import train
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.projects.project import files_of, write_project
from fairlead.store.store import Store
from fairlead.training.recipe import Sources, find_recipe
from fairlead.training.run import Run, find_profile

from .test_up import environment, run

ROOT = Path(__file__).parents[2]
DEADLINE_S = 240


@pytest.fixture(scope="module")
def installing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which pip installs Fairlead from a wheel of this tree, and finds all else installed, offline.

    What is installed is seen through a folder of links, which leaves Fairlead itself out.
    """
    folder = tmp_path_factory.mktemp("installing")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "wheels")],
        cwd=ROOT,
        env={**os.environ, "FAIRLEAD_PURE": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    installed = folder / "installed"
    installed.mkdir()
    for entry in Path(np.__file__).parents[1].iterdir():
        if "fairlead" not in entry.name and not entry.name.startswith(("pip", "__pycache__")):
            (installed / entry.name).symlink_to(entry)
    return environment(
        PYTHON=sys.executable,
        PYTHONPATH=str(installed),
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(folder / "wheels"),
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for tables, as it was written; the tests below go on from each other's work in it, as the page says."""
    page = (ROOT / "docs" / "init.md").read_text()
    command, *after = [line.strip() for line in page.split("\n\n")[1].splitlines()]
    assert after == ["cd churn", "make test", "make up"]
    folder = tmp_path_factory.mktemp("user")
    done = run(folder, *command.split()[1:])
    assert done.returncode == 0, done.stderr
    return folder / "churn"


def make(project: Path, target: str, installing: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """One target of the project's own Makefile."""
    return subprocess.run(
        ["make", target], cwd=project, env=installing, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


@pytest.fixture
def url(project: Path, installing: dict[str, str]) -> Iterator[str]:
    """Where what `make up` started answers; it is ended as by a Ctrl-C that it alone gets."""
    log = project.parent / "up.log"
    ports = {f"FAIRLEAD_{port}_PORT": "0" for port in ("REST", "GRPC", "MANAGEMENT")}
    with log.open("w") as writer:
        process = subprocess.Popen(
            ["make", "up"], cwd=project, env={**installing, **ports}, stdout=writer, stderr=writer
        )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while "Ctrl-C drains and stops." not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        found = re.search(r"is served at (http://\S+)", log.read_text())
        assert found, log.read_text()
        yield found[1]
    finally:
        for child in psutil.Process(process.pid).children():
            child.terminate()
        status = process.wait(60)
    assert status == 0, log.read_text()


@pytest.mark.slow
class TestProject:
    """In order: installed and tested, served, trained again."""

    def test_its_own_tests_pass_untouched(self, project: Path, installing: dict[str, str]) -> None:
        """`make test` installs, trains, exports, serves and compares; what was installed is written down."""
        done = make(project, "test", installing)

        assert done.returncode == 0, done.stdout + done.stderr
        assert " 5 passed" in done.stdout
        assert re.search(r"^fairlead==[0-9.]+$", (project / "requirements.lock").read_text(), re.MULTILINE)

    def test_up_serves_what_the_recipe_trains(self, project: Path, url: str, tmp_path: Path) -> None:
        """The curls of its README and of what it prints get the probabilities that the model itself gives."""
        text = (project / "README.md").read_text().replace("http://127.0.0.1:8501", url)
        (command,) = re.findall(r"^ {4}(curl .*)$", text, re.MULTILINE)
        (printed,) = re.findall(r"^  a row +(curl .*)$", (project.parent / "up.log").read_text(), re.MULTILINE)

        recipe = find_recipe(str(project / "churn"))
        dataset = recipe.load(Sources(data_dir=None, cache_dir=tmp_path, say=print))
        run = Run(seed=0, profile=find_profile("dev"), log_dir=tmp_path)
        model = recipe.train(recipe.split(dataset, 0), run)
        for asked in map(shlex.split, (command, printed)):
            answer = json.loads(subprocess.run(asked, capture_output=True, timeout=60, check=True).stdout)
            row = json.loads(asked[asked.index("-d") + 1])["row"]
            says = recipe.predict(model, {name: [value] for name, value in row.items()})[0]
            assert (answer["model"], answer["version"]) == ("churn", 1)
            assert [answer["probabilities"][label] for label in recipe.labels] == pytest.approx(says, abs=1e-5)

    def test_a_retraining_of_its_recipe_is_published(self, project: Path, installing: dict[str, str]) -> None:
        """`make retrain`: the gate compares with the champion, which goes on serving."""
        done = make(project, "retrain", installing)

        assert done.returncode == 0, done.stdout + done.stderr
        store = Store(project / ".fairlead" / "store")
        release = store.release("churn")
        assert list(store.versions("churn")) == [1, 2]
        assert release is not None
        assert release.stable == 1

    def test_its_gate_asks_for_what_its_recipe_says(self, project: Path, installing: dict[str, str]) -> None:
        """Nobody has every bearing right: nothing is published, and what serves goes on serving."""
        recipe = project / "churn" / "recipe.py"
        as_written = recipe.read_text()
        recipe.write_text(as_written.replace("min_accuracy=0.97", "min_accuracy=1.0"))

        done = make(project, "train", installing)

        recipe.write_text(as_written)
        assert recipe.read_text().count("min_accuracy=0.97") == 1
        assert re.search(r"^accuracy .*at least 100.00% +failed", done.stdout, re.MULTILINE), done.stdout + done.stderr
        assert "nothing was published; version 1 goes on serving" in done.stderr
        assert list(Store(project / ".fairlead" / "store").versions("churn")) == [1, 2]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project for texts, as it was written."""
    folder = tmp_path_factory.mktemp("texts")
    done = run(folder, "init", "tickets", "--template", "text")
    assert done.returncode == 0, done.stderr
    return folder / "tickets"


@pytest.mark.slow
def test_the_tests_of_a_project_for_texts_pass_untouched(texts: Path) -> None:
    """With what is installed here: it is the files that differ, not how they are installed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest"],
        cwd=texts,
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTHONPATH=str(ROOT / "src")),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert " 5 passed" in done.stdout


@pytest.mark.parametrize("written", ["project", "texts"])
def test_what_it_writes_is_formatted_and_has_no_lint(request: pytest.FixtureRequest, written: str) -> None:
    """By the settings that it brings."""
    for verb in (("format", "--check"), ("check",)):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *verb, "--no-cache", "."],
            cwd=request.getfixturevalue(written),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_thresholds_that_are_none_are_refused_before_the_training(tmp_path: Path) -> None:
    """A number where the gate's lines should be is no silent default."""
    write_project(files_of("text", "churn"), tmp_path)
    recipe = tmp_path / "churn" / "recipe.py"
    recipe.write_text(re.sub(r"thresholds = Thresholds\(.*\)", "thresholds = 0.9", recipe.read_text()))

    with pytest.raises(FairleadError, match=r"the thresholds of the recipe of churn are '0\.9'") as caught:
        train(Settings(home=tmp_path / "home"), str(recipe), profile=None, seed=0, say=print)

    assert caught.value.code is Code.FAILED_PRECONDITION
    assert "Thresholds(min_accuracy=0.9)" in caught.value.hint
    assert not (tmp_path / "home").exists()


def test_programs_read_what_was_written(tmp_path: Path) -> None:
    """The directory and each file, as JSON; files of others in it are none of its business."""
    (tmp_path / "LICENSE").write_text("mine")

    done = run(tmp_path, "init", "My-model.2", "--directory", ".", "--json")

    told = json.loads(done.stdout)
    assert told["directory"] == "."
    assert {*told["files"], "LICENSE"} == {
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()
    }
    assert "My-model.2/recipe.py" in told["files"]
    assert find_recipe(str(tmp_path / "My-model.2")).name == "My-model.2"
    assert not any(re.search("NEW[A-Z]", path.read_text()) for path in tmp_path.rglob("*") if path.is_file())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """The files that are in the way are named, and nothing else is written."""
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "Makefile").write_text("mine")
    (folder / "README.md").symlink_to("nowhere")

    done = run(tmp_path, "init", "churn")

    assert done.returncode == 1
    assert "error: churn has Makefile, README.md already, and nothing is overwritten" in done.stderr
    assert "try: " in done.stderr
    assert (folder / "Makefile").read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["Makefile", "README.md"]


def test_a_file_in_the_way_of_a_folder_leaves_nothing_written(tmp_path: Path) -> None:
    """What was written before it was met is taken back."""
    (tmp_path / "tests").write_text("mine")

    done = run(tmp_path, "init", "churn", "--directory", ".")

    assert done.returncode == 1
    assert "tests cannot be written" in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["tests"]


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.compose-spec", "compose.yaml"), ("vendor.github-workflows", ".github/workflows/ci.yml")],
)
def test_what_others_read_is_valid(project: Path, schema: str, file: str) -> None:
    """By the schemas of Docker Compose and GitHub."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(project / file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a/b", "'a/b' is not a model name"),
        ("-x", ""),
        ("", "'' is not a model name"),
        ("ärger", "'ärger' is not a model name"),
        ("Tests", "'Tests' cannot be the model's name: the project has its tests beside the model"),
        ("makefile", "'makefile' cannot be the model's name"),
        ("requirements.lock", "the project has its requirements.lock beside the model"),
    ],
)
def test_names_that_no_model_can_have_are_refused(tmp_path: Path, name: str, says: str) -> None:
    """With status 2, and no folder is made."""
    done = run(tmp_path, "init", name)

    assert done.returncode == 2
    assert says in done.stderr
    assert not any(tmp_path.iterdir())


def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """Status 1, and the file is as it was."""
    (tmp_path / "churn").write_text("mine")

    done = run(tmp_path, "init", "churn")

    assert done.returncode == 1
    assert "churn is no directory" in done.stderr
    assert (tmp_path / "churn").read_text() == "mine"


def test_what_runs_in_containers_is_what_fairlead_takes(project: Path) -> None:
    """The commands of the images parse, the services are targets of the Dockerfile, and the variables are settings."""
    dockerfile = (project / "Dockerfile").read_text()
    services = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    variables = {field.metadata["env"] for field in Settings.__dataclass_fields__.values()}
    files = [project / name for name in ("Dockerfile", "compose.yaml", "fairlead.env")]

    for command in re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE):
        verb, *arguments = json.loads(command)
        parser(verb).parse_args(arguments)
    assert {service["build"]["target"] for service in services.values()} <= set(re.findall(r" AS (\w+)", dockerfile))
    named = {name for file in files for name in re.findall(r"FAIRLEAD_[A-Z_]+", file.read_text())}
    assert "FAIRLEAD_SCHEDULE" in named
    assert named <= variables
