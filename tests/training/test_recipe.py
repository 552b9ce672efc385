"""How a recipe is found and loaded."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.training.recipe import find_recipe

RECIPE = """
    from .words import greeting

    class Small:
        name = "small"
        labels = ("a", "b")
        transform = None
        def load(self, sources): return greeting
        def split(self, dataset, seed): ...
        def train(self, split, run): ...
        def predict(self, model, inputs): ...
        def export(self, model, path): ...

    recipe = Small()
"""


def write_recipe(folder: Path, *, source: str = RECIPE, greeting: str = "hello") -> Path:
    """A folder with a recipe and a sibling file."""
    folder.mkdir(parents=True)
    (folder / "recipe.py").write_text(textwrap.dedent(source))
    (folder / "words.py").write_text(f"greeting = {greeting!r}\n")
    return folder


def failure(reference: str | Path) -> FairleadError:
    """The error that finding the recipe raises."""
    with pytest.raises(FairleadError) as caught:
        find_recipe(str(reference))
    return caught.value


def test_folder_and_file_name_the_same_recipe(tmp_path: Path) -> None:
    """A recipe is found by its folder and by its file."""
    folder = write_recipe(tmp_path / "mine")

    assert find_recipe(str(folder)).name == "small"
    assert find_recipe(str(folder / "recipe.py")).labels == ("a", "b")


@pytest.mark.parametrize("shelf", [".", "examples"])
def test_name_is_looked_for_in_the_current_folder(shelf: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is a folder here, or one in ./examples, before it is one of Fairlead's own."""
    write_recipe(tmp_path / shelf / "digits")
    monkeypatch.chdir(tmp_path)

    assert find_recipe("digits").name == "small"


def test_examples_come_with_fairlead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digits are found by name from any folder."""
    monkeypatch.chdir(tmp_path)

    assert find_recipe("digits").labels == tuple("0123456789")


def test_siblings_of_two_recipes_never_meet(tmp_path: Path) -> None:
    """Two recipes with a file of the same name beside them each import their own."""
    one = find_recipe(str(write_recipe(tmp_path / "one", greeting="hello")))
    other = find_recipe(str(write_recipe(tmp_path / "other", greeting="goodbye")))

    assert (one.load(None), other.load(None)) == ("hello", "goodbye")  # type: ignore[arg-type, comparison-overlap]  # a stub


def test_edited_recipe_is_read_anew(tmp_path: Path) -> None:
    """A second look-up sees what was changed in a sibling file since."""
    folder = write_recipe(tmp_path / "mine")
    find_recipe(str(folder))
    (folder / "words.py").write_text("greeting = 'a longer greeting'\n")

    assert find_recipe(str(folder)).load(None) == "a longer greeting"  # type: ignore[arg-type, comparison-overlap]  # a stub


@pytest.mark.parametrize("reference", ["nothing", "", "no/such/folder", "missing.py"])
def test_unknown_recipe_says_what_exists(reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without a recipe is NOT_FOUND, with the recipes there are."""
    write_recipe(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)

    error = failure(reference)

    assert error.code == Code.NOT_FOUND
    assert "digits" in error.hint
    assert "mine" in error.hint


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        ("x = 1\n\nx.nothing\n", 3, "AttributeError"),
        ("x = 1\ndef broken(:\n", 2, "SyntaxError"),
        ("import a_library_that_is_not_there\n", 1, "ModuleNotFoundError"),
    ],
)
def test_broken_recipe_names_file_line_and_exception(source: str, line: int, what: str, tmp_path: Path) -> None:
    """A recipe that fails as it is loaded is reported with its file, line and exception."""
    folder = write_recipe(tmp_path / "mine", source=source)

    error = failure(folder)

    assert error.code == Code.FAILED_PRECONDITION
    assert f"{folder / 'recipe.py'}, line {line}: {what}" in error.message
    assert ("pip install" in error.hint) == (what == "ModuleNotFoundError")


def test_failure_in_a_sibling_names_the_sibling(tmp_path: Path) -> None:
    """The line nearest to the failure is named, in whichever of the recipe's files it is."""
    folder = write_recipe(tmp_path / "mine")
    (folder / "words.py").write_text("greeting = 1 / 0\n")

    assert f"{folder / 'words.py'}, line 1: ZeroDivisionError" in failure(folder).message


@pytest.mark.parametrize(
    ("last_line", "complaint"),
    [
        ("recipe = None", "defines no recipe"),
        ("recipe = Small", "is a class"),
        ("recipe = object()", "lacks name, labels"),
    ],
)
def test_file_must_define_a_whole_recipe(last_line: str, complaint: str, tmp_path: Path) -> None:
    """A file whose `recipe` is absent, a class or incomplete is refused with the reason."""
    source = textwrap.dedent(RECIPE).replace("recipe = Small()", last_line)

    assert complaint in failure(write_recipe(tmp_path / "mine", source=source)).message


def test_name_of_a_recipe_must_be_a_model_name(tmp_path: Path) -> None:
    """A recipe whose name cannot be a directory is refused at once."""
    source = RECIPE.replace('"small"', '"../small"')

    assert failure(write_recipe(tmp_path / "mine", source=source)).code == Code.INVALID_ARGUMENT
