"""`make release-check` and the workflow that runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.test_up import bundled, write_idx

from . import actionlint
from .rule_files import DEPLOY

ROOT = DEPLOY.parent
WORKFLOW: dict[str, Any] = yaml.load((ROOT / ".github" / "workflows" / "release.yml").read_text(), yaml.BaseLoader)


def program(folder: Path, name: str, text: str) -> None:
    """A program of that name, first on the path."""
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def check_release(folder: Path, **variables: str) -> tuple[int, list[str]]:
    """Its exit status, and what the container engine was told to do."""
    calls = folder / "calls"
    calls.touch()
    program(folder, "engine", f'echo "$1" >> {calls}; exit 9')
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "ENGINE": "engine"}
    environment |= {"RELEASE_DIR": str(folder / "made"), **variables}
    command = [str(ROOT / "tools" / "release_check.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    return done.returncode, calls.read_text().splitlines()


def test_a_model_that_the_gate_refuses_becomes_no_image(tmp_path: Path) -> None:
    """Exit status 3, and nothing was built."""
    images, labels = bundled()
    write_idx(tmp_path, "t10k", images, labels)
    write_idx(tmp_path, "train", images[:0], labels[:0])
    program(tmp_path, "fairlead", f'exec {sys.executable} -m fairlead.cli.main "$@"')
    assert check_release(tmp_path, FAIRLEAD_DATA_DIR=str(tmp_path)) == (3, [])


def test_a_model_that_passed_is_built(tmp_path: Path) -> None:
    """What ends the other one is the gate: after it comes the engine, whose failure ends this one."""
    program(tmp_path, "fairlead", "exit 0")
    assert check_release(tmp_path) == (9, ["build"])


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-workflows", ".github/workflows/release.yml"), ("vendor.gitlab-ci", ".gitlab-ci.yml")],
)
def test_the_pipelines_are_valid(tmp_path: Path, schema: str, file: str) -> None:
    """By the schemas of GitHub and GitLab; a word that is misspelt is told."""

    def check(path: Path) -> int:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode

    assert check(ROOT / file) == 0
    wrong = tmp_path / Path(file).name
    wrong.write_text(
        (ROOT / file).read_text().replace("needs: [", "neds: [").replace("  stage: test", "  stge: test: x")
    )
    assert check(wrong) != 0


def test_the_workflows_mean_what_they_say() -> None:
    """By actionlint, which knows what a schema does not: a job that is nowhere is told."""
    texts = [path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    wrong = texts[0].replace("needs: [image, staging]", "needs: [image, stagin]")
    *found, (fault,) = actionlint.faults(*texts, wrong)
    assert found == [[] for _ in texts]
    assert 'needs job "stagin" which does not exist' in fault


@pytest.mark.parametrize("name", WORKFLOW["jobs"])
def test_the_workflow_has_few_rights_and_runs_pinned_actions(name: str) -> None:
    """Each action is a whole commit, no token stays in a file, one job may push, and commands are the project's own."""
    job = WORKFLOW["jobs"][name]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert job.get("permissions", {"contents": "read"}) == {"contents": "read"} or name == "image"
    assert job["steps"][0]["with"]["persist-credentials"] == "false"
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in job["steps"] if "uses" in step)
    commands = "\n".join(step["run"] for step in job["steps"] if "run" in step)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make (\S+)", commands, re.MULTILINE)) <= set(targets)
    files = re.findall(r"(?<![\w/])(?:tools|deploy|requirements)/\S+\.\w+", commands)
    assert all((ROOT / path).is_file() for path in files)
    assert "${{" not in commands  # what comes from outside is in variables, never in the text of a script


def test_production_comes_after_staging_and_for_tags_alone() -> None:
    """And staging after an image that was checked, which comes after the tests."""
    jobs = WORKFLOW["jobs"]
    assert (jobs["image"]["needs"], jobs["staging"]["needs"]) == ("test", "image")
    assert jobs["production"]["needs"] == ["image", "staging"]
    assert jobs["production"]["if"] == "github.ref_type == 'tag'"
    assert (jobs["staging"]["environment"], jobs["production"]["environment"]) == ("staging", "production")


def deploy(folder: Path, *, rollout: int, smoke: int) -> tuple[int, str]:
    """The status of `tools/deploy.sh`, and what it told the cluster."""
    calls = folder / "calls"
    calls.touch()
    program(folder, "kubectl", f'echo "$3 $4 $5" >> {calls}; case "$3 $4" in "rollout status") exit {rollout};; esac')
    program(folder, "python3", f"exit {smoke}")
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "KUBECONFIG_TEXT": "{}"}
    command = [str(ROOT / "tools" / "deploy.sh"), "registry.example.com/fairlead:1", "http://127.0.0.1:9"]
    done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=60)
    return done.returncode, calls.read_text()


def test_an_image_that_does_not_answer_is_taken_back(tmp_path: Path) -> None:
    """Whether its pods do not come up or its answers are wrong; one that answers stays."""
    status, said = deploy(tmp_path, rollout=0, smoke=0)
    assert (status, "undo" in said) == (0, False)
    for number, (rollout, smoke) in enumerate(((1, 0), (0, 1))):
        folder = tmp_path / str(number)
        folder.mkdir()
        status, said = deploy(folder, rollout=rollout, smoke=smoke)
        assert status != 0
        assert "rollout undo deployment/fairlead-server" in said
