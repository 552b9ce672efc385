"""What the documents say is so."""

from __future__ import annotations

import importlib
import re
import shlex
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import pytest

import fairlead
from fairlead.app import python_catalogue
from fairlead.cli import catalogue as commands
from fairlead.cli.main import VERBS
from fairlead.config import Settings
from fairlead.errors import Code
from fairlead.transport.openapi import catalogue as interfaces

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "src").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)
COMMAND = re.compile(r"(?:^ {4}|`|try: )fairlead ([a-z]+)([^`\n]*)", re.MULTILINE)


def parser(verb: str) -> ArgumentParser:
    """The verb's own parser."""
    made = ArgumentParser(exit_on_error=False)
    importlib.import_module(f"fairlead.cli.{verb}").configure(made)
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_documents_parses(page: Path) -> None:
    """Its verb exists and takes these arguments; what follows two spaces is a comment."""
    for verb, rest in COMMAND.findall(page.read_text()):
        assert verb in VERBS, f"fairlead {verb}"
        arguments = re.split(r" {2,}", rest)[0].split()
        if arguments and "VERSION" not in rest:
            parser(verb).parse_args(arguments)


@pytest.mark.parametrize("verb", VERBS)
def test_every_example_of_a_command_parses(verb: str) -> None:
    """What `--help` and the reference show of each; what follows two spaces is a comment."""
    shown = importlib.import_module(f"fairlead.cli.{verb}").EXAMPLE.partition("\n\n")[0]
    for line in shown.splitlines()[1:]:
        for rest in re.findall(rf"\bfairlead {verb}\b(.*)", re.split(r"(?<=\S) {2,}", line)[0]):
            parser(verb).parse_args(shlex.split(rest))


def test_the_readme_shows_every_command() -> None:
    """None is left for the user to find."""
    shown = {verb for verb, _ in COMMAND.findall((ROOT / "README.md").read_text())}

    assert shown | {"up"} == set(VERBS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_variable_leads_somewhere(page: Path) -> None:
    """Relative links point at files, and FAIRLEAD_ variables are settings, or the tests' and the build's own."""
    text = page.read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists(), target
    fields = Settings.__dataclass_fields__.values()
    known = {field.metadata["env"] for field in fields} | {"FAIRLEAD_TEST_DATA", "FAIRLEAD_PURE"}
    known |= {f"{field.metadata['env']}_FILE" for field in fields if field.metadata["is_secret"]}
    assert set(re.findall(r"FAIRLEAD_[A-Z_]*[A-Z]", text)) <= known


def test_the_readme_names_the_extras_that_exist() -> None:
    """As `pyproject.toml` has them."""
    extras = set(
        re.findall(r"^([a-z]+) = \[", (ROOT / "pyproject.toml").read_text().split("optional-dep")[1], re.MULTILINE)
    )

    assert {"train", "tensorflow", "sklearn"} <= extras


def test_every_threat_has_a_test() -> None:
    """Each row of the table names files of tests that are there."""
    rows = [line for line in (ROOT / "docs" / "threats.md").read_text().splitlines() if line.startswith("| ")][2:]
    named = [re.findall(r"`(tests/[\w/]+\.py)`", row) for row in rows]
    assert len(rows) > 20
    assert all(named)
    assert all("def test_" in (ROOT / path).read_text() for paths in named for path in paths)


def test_the_comparison_has_the_figures_of_the_benchmarks() -> None:
    """Images a second at 64 connections, memory and start of each server, as they were measured last."""
    compared = (ROOT / "docs" / "comparison.md").read_text().partition("## What was measured")[2].partition("\n## ")[0]
    network, _, rest = (ROOT / "docs" / "benchmarks.md").read_text().partition("## The perceptron")
    rows = dict(re.findall(r"^\| ([^|]+) \| (.*) \|$", compared, re.MULTILINE)[2:])
    speed = dict(re.findall(r"^\| ([^|]+) \| [\d,]+ [^|]*\| ([\d,]+) \(", network, re.MULTILINE))
    start = dict(re.findall(r"^\| ([^|]+) \| ([\d.]+ s \| [\d,]+ MB) \|", rest, re.MULTILINE))

    assert len(rows) == 8
    for server, shown in rows.items():
        began, memory = start[server].split(" | ")
        assert shown == f"{speed[server]} | {memory} | {began}", server


@pytest.mark.parametrize(
    ("page", "made", "parts"),
    [
        ("commands.md", commands.markdown, [f"## fairlead {verb}" for verb in VERBS]),
        ("python.md", python_catalogue.markdown, [f"### {name}" for name in fairlead.__all__]),
        ("interfaces.md", interfaces.markdown, [f"| `{code}` |" for code in Code]),
    ],
)
def test_the_reference_is_the_code(page: str, made: Callable[[], str], parts: list[str]) -> None:
    """It ends with what the code makes; `python tools/check_tree.py --write` brings it up to date."""
    text = (ROOT / "docs" / page).read_text()

    assert text.endswith(made())
    assert all(part in text for part in parts)
