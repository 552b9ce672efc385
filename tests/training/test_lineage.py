"""Code revision and library versions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from fairlead.training.lineage import code_revision, library_versions, recipe_folder


def git(folder: Path, *arguments: str) -> str:
    """Run git in the folder, whoever the user is."""
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@localhost", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with one commit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "recipe.py").write_text("recipe = None\n")
    git(folder, "add", "recipe.py")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


def test_clean_checkout_is_named_by_its_commit(checkout: Path) -> None:
    """The revision of unchanged code is the commit."""
    assert code_revision(checkout) == git(checkout, "rev-parse", "HEAD")


def test_changed_checkout_says_so(checkout: Path) -> None:
    """A changed or a new file makes the revision dirty."""
    (checkout / "data.py").write_text("")

    assert code_revision(checkout) == git(checkout, "rev-parse", "HEAD") + "-dirty"


def test_version_stands_in_without_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a checkout, and without git, the version of Fairlead is the revision."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert code_revision(tmp_path).startswith("fairlead-")

    monkeypatch.setenv("PATH", "")
    assert code_revision(tmp_path).startswith("fairlead-")


def test_versions_are_those_installed() -> None:
    """Each library is named with its installed version, and one that is absent is left out."""
    versions = library_versions()

    assert versions["numpy"] == np.__version__
    assert versions["python"].count(".") == 2
    assert None not in versions.values()


def test_recipe_folder_is_where_its_class_is_written() -> None:
    """The folder of a recipe is its class's file's, so the revision is the user's, not Fairlead's."""

    class Mine:
        """A recipe of this file."""

    assert recipe_folder(Mine()) == Path(__file__).parent
