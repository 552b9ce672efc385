"""Operators that ONNX Runtime does not have come from libraries that the user names, never from a model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.cli.conftest import StartServer

from fairlead.cli.main import main
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .kinds import MODELS, write_good

SOURCE = """
#include <fcntl.h>
void *RegisterCustomOps(void *options, const void *api) {{
    int made = open("{canary}", O_CREAT, 0600);
    return made < 0 ? options : 0;
}}
"""


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that is there once the library's code has run."""
    return tmp_path / "registered"


@pytest.fixture
def library(tmp_path: Path, canary: Path) -> Path:
    """A library as ONNX Runtime wants it, with no operator in it."""
    path = tmp_path / "operators.so"
    command = ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(path), "-"]
    subprocess.run(command, input=SOURCE.format(canary=canary).encode(), check=True, timeout=60)
    return path


def test_a_named_library_is_loaded(
    store: WritableStore, start_server: StartServer, library: Path, canary: Path
) -> None:
    """By a server that is told to, and by no other."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    start_server(store.root, "--workers", "1").wait_ready()
    assert not canary.exists()
    start_server(store.root, "--workers", "1", "--operator-libraries", str(library)).wait_ready()
    assert canary.exists()


def test_with_a_library_the_runtime_judges_operators(
    tmp_path: Path, library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is in none of the libraries is refused by it; what runs another engine's code still by us."""
    made = tmp_path / "made"
    command = ["import", str(made / "model.onnx"), "--name", "m", "--home", str(tmp_path / "home")]
    writers = {name: write for name, write, _ in MODELS}
    for name, reason in (
        ("custom-operator", "attacker.example:Steal"),
        ("python-operator", "com.microsoft::PythonOp is an operator that runs code from outside of the model"),
    ):
        write_good(made)
        writers[name](made)
        assert main([*command, "--operator-libraries", str(library)]) == 1
        assert reason in capsys.readouterr().err
    write_good(made)
    assert main([*command, "--operator-libraries", str(library)]) == 0


def test_a_library_that_is_none_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rather than the model."""
    write_good(tmp_path)
    (tmp_path / "no.so").write_text("no library")
    command = ["import", str(tmp_path / "model.onnx"), "--name", "m", "--home", str(tmp_path / "home")]

    assert main([*command, "--operator-libraries", str(tmp_path / "no.so")]) == 1
    assert f"{tmp_path}/no.so is no library of operators" in capsys.readouterr().err
