"""`fairlead init`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from fairlead.cli.output import json_line, say
from fairlead.projects.project import TEMPLATES, files_of, write_project

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead init churn
  fairlead init churn --directory .
  fairlead init tickets --template text

Writes a recipe with rows to begin with, its tests, settings, a Makefile, and files for containers and CI.
Nothing is overwritten."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("name", help="what clients will call the model")
    parser.add_argument("--template", choices=TEMPLATES, default="tabular", help="what it takes (default: tabular)")
    parser.add_argument("--directory", type=Path, help="where to (default: a new one, called as the model)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(arguments: Namespace) -> int:
    directory = arguments.directory or Path(arguments.name)
    files = files_of(arguments.template, arguments.name)
    write_project(files, directory)
    if arguments.json:
        json_line({"directory": str(directory), "files": [str(path) for path in files]})
    else:
        print("\n".join(str(directory / path) for path in files))
    say(f"wrote {len(files)} files; next:")
    say(f"  cd {directory}") if directory != Path() else None
    say("  make test    trains, and asks a server what the model itself says")
    say("  make up      trains, and serves at http://127.0.0.1:8501")
    return 0
