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


@pytest.mark.parametrize("name", WORKFLOW["jobs"])
def test_the_workflow_may_only_read_and_runs_pinned_actions(name: str) -> None:
    """Each action is a whole commit, no token stays in a file, and targets are those of the Makefile."""
    job = WORKFLOW["jobs"][name]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    assert job["steps"][0]["with"]["persist-credentials"] == "false"
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in job["steps"] if "uses" in step)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {step["run"].split()[1] for step in job["steps"] if "run" in step} <= set(targets)
