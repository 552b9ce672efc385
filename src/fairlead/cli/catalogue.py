"""Every command with its arguments, made from their parsers: the body of `docs/commands.md`."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from collections.abc import Iterator

from fairlead.cli.main import VERBS
from fairlead.config import Settings

__all__ = ["markdown"]

_SETTINGS = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Settings)}


def markdown() -> str:
    """The commands in Markdown."""
    return "\n".join(line for verb, summary in VERBS.items() for line in _verb(verb, summary))


def _verb(verb: str, summary: str) -> Iterator[str]:
    module = importlib.import_module(f"fairlead.cli.{verb}")
    parser = argparse.ArgumentParser(prog=f"fairlead {verb}")
    module.configure(parser)
    examples, _, remarks = module.EXAMPLE.removeprefix("example:\n").partition("\n\n")
    yield from (f"## fairlead {verb}", "", f"{summary[0].upper()}{summary[1:]}.", "")
    yield from ("```sh", *(line.removeprefix("  ") for line in examples.splitlines()), "```", "")
    if remarks:
        yield from (_escaped(remarks), "")
    yield from _arguments(parser)


def _arguments(parser: argparse.ArgumentParser) -> Iterator[str]:
    """A parser's own arguments, the settings that it takes, and then its actions."""
    # argparse tells its actions nowhere else.
    hidden = argparse._HelpAction  # noqa: SLF001
    actions = [one for one in parser._actions if not isinstance(one, hidden) and one.help != argparse.SUPPRESS]  # noqa: SLF001
    choices = [action for action in actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    settings = [action.option_strings[0] for action in actions if _SETTINGS & set(action.option_strings)]
    own = [action for action in actions if action not in choices and not _SETTINGS & set(action.option_strings)]
    if own:
        yield from ("| argument | means |", "| --- | --- |", *(_row(parser, action) for action in own), "")
    if settings:
        yield from (f"[Settings](settings.md): {', '.join(f'`{name}`' for name in settings)}.", "")
    for choice in choices:
        for name, action_parser in choice.choices.items():
            (about,) = (str(one.help) for one in choice._choices_actions if one.dest == name)  # noqa: SLF001
            yield from (f"### {parser.prog} {name}", "", f"{about[0].upper()}{about[1:]}.", "")
            yield from _arguments(action_parser)


def _row(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    formatter = parser._get_formatter()  # noqa: SLF001 - which fills in defaults as --help does
    value = "" if action.nargs == 0 else _value(action)
    name = " ".join(filter(None, (", ".join(action.option_strings), value)))
    about = formatter._expand_help(action) if action.help else ""  # noqa: SLF001
    return f"| `{name}` | {_escaped(about)} |"


def _value(action: argparse.Action) -> str:
    """What stands for the argument's value in a command."""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.choices is not None:
        return f"{{{','.join(map(str, action.choices))}}}"
    word = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    return {"*": f"[{word} ...]", "+": f"{word} [{word} ...]", "?": f"[{word}]"}.get(str(action.nargs), word)


def _escaped(text: str) -> str:
    """As Markdown shows it: pipes part cells, and angle brackets are tags."""
    return text.replace("|", "\\|").replace("<", "&lt;")
