"""Nothing stands in the documentation as code that no test runs or holds to something."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.redaction.redactor import redact
from fairlead.servable.graph.spec import GraphSpec
from fairlead.training.recipe import Recipe

from .account import SHOWN, WHOLE, elsewhere, is_commands, named_paths, runs_here, text_of
from .pages import PAGES, ROOT, Block, blocks

BLOCKS = [block for block in blocks() if block.page not in WHOLE]
COMMANDS = sorted({line for block in BLOCKS if is_commands(block) for line in block.lines})
METRICS = (ROOT / "docs" / "metrics.md").read_text()


def the(page: str, language: str) -> Block:
    """The only block of a page in that language."""
    (block,) = (block for block in BLOCKS if (block.page, block.language) == (page, language))
    return block


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_is_run_here_or_where_it_is_said(line: str) -> None:
    """Where it is said, the tests are there and have each of its flags; files that it names are in the repository."""
    if runs_here(line):
        return
    where = elsewhere(line)

    assert where is not None, f"nothing runs this: {line}"
    text = text_of(where.tests)
    assert "def test_" in text
    if " fairlead " in f" {line}" and not line.startswith(("kubectl", "docker", "fly", "sudo")):
        missing = [
            flag
            for flag in re.findall(r"--([a-z-]+)", line)
            if f"--{flag}" not in text and flag.replace("-", "_") not in text
        ]
        assert not missing, f"{where.tests} does not try {missing}"
    assert all(path.exists() or "*" in line for path in named_paths(line)), line


def test_every_other_block_is_held_by_a_test() -> None:
    """By page and language; a fence of another language is asked about here first."""
    others = {(block.page, block.language) for block in BLOCKS if not is_commands(block)}

    assert others == SHOWN.keys()
    assert all("def test_" in text_of(tests) for tests in [*SHOWN.values(), *WHOLE.values()])


def test_the_skeleton_of_a_recipe_has_all_that_a_recipe_has() -> None:
    """The README's class has each member of the port, and what each is given."""
    names: dict[str, Any] = {"Handwriting": lambda: None}
    exec(the("README.md", "python").text, names)

    members = [name for name in vars(Recipe) if not name.startswith("_")]
    assert all(hasattr(names["recipe"], name) for name in members)


def test_the_graph_of_the_page_is_one() -> None:
    """The file that `fairlead graph --file` takes."""
    spec = GraphSpec.from_json(json.loads(the("docs/graphs.md", "json").text))

    assert [str(member.id) for member in spec.members] == ["embedder@4", "tagger@2"]


def test_what_is_said_to_be_taken_out_is() -> None:
    """The page's line before and after."""
    before, after = the("docs/redaction.md", "text").text.splitlines()

    assert redact(before) == after


@pytest.mark.parametrize("language", ["json", "yaml"])
def test_json_and_yaml_can_be_read(language: str) -> None:
    """Each block is whole."""
    for block in BLOCKS:
        if block.language == language:
            assert (json.loads if language == "json" else yaml.safe_load)(block.text), block.page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_metric_that_is_named_is_counted(page: Path) -> None:
    """As `docs/metrics.md` has it, which is made from the code."""
    known = set(re.findall(r"^\| `(fairlead_\w+)`", METRICS, re.MULTILINE))
    named = set(re.findall(r"`(fairlead_[a-z_]+)[`{]|\((fairlead_[a-z_]+)", page.read_text()))

    assert {name for pair in named for name in pair if name} <= known
