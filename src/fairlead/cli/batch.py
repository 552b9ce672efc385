"""`fairlead batch`."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import asdict
from pathlib import Path

from fairlead.app.batch import batch
from fairlead.batch.answers import ENCODERS
from fairlead.batch.job import Job
from fairlead.batch.output import Counts
from fairlead.cli.engine_flag import add_engine_flag
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.servable.identity import ServableId, parse_version

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead batch digits rows.parquet scored
  fairlead batch digits pictures/ scored --version 2 --format csv
  fairlead batch digits rows.parquet scored --engine ray

INPUT is a .csv, .jsonl or .parquet file, or a folder of PNG and JPEG pictures. OUTPUT is a directory: part-00000.csv
and so on, what was rejected in part-00000.rejects.jsonl, and done.json when all is there. After a kill the same command
goes on from there."""

_EVERY_S = 5.0


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("model")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--version", type=_version, help="which one scores (default: the one that serves)")
    parser.add_argument("--format", choices=sorted(ENCODERS), help="of the answers (default: the input's)")
    parser.add_argument("--part-rows", type=_positive, help="rows a part (default: 8 MiB of inputs, at most 65,536)")
    parser.add_argument("--max-rejects", type=_count, help="fail when more rows are rejected (default: any number may)")
    add_engine_flag(parser)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    add_flags(parser, "home", "store")


def run(arguments: Namespace) -> int:
    progress = _Progress()
    job = Job(
        input=arguments.input,
        output=arguments.output,
        format=arguments.format,
        part_rows=arguments.part_rows,
        max_rejects=arguments.max_rejects,
    )
    try:
        id_, counts = batch(
            settings_from(arguments),
            arguments.model,
            arguments.version,
            job,
            progress.show,
            engine=arguments.engine,
        )
    finally:
        progress.end()
    if arguments.json:
        json_line({"model": id_.model, "version": id_.version, **asdict(counts)})
    else:
        print(f"{id_}: {_words(counts)}; the answers are in {arguments.output}")
    return 0


class _Progress:
    """How far it is: on a terminal one line that changes, in a pipe a line every few seconds."""

    def __init__(self) -> None:
        self._began = self._shown = time.monotonic()
        self._is_open = False

    def show(self, id_: ServableId, counts: Counts) -> None:
        now = time.monotonic()
        rate = counts.rows / max(now - self._began, 1e-9)
        line = f"{id_}: {_words(counts)}, {rate:,.0f} a second"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
            self._is_open = True
        elif now - self._shown >= _EVERY_S:
            say(line)
            self._shown = now

    def end(self) -> None:
        """Leave the line that changes."""
        if self._is_open:
            say("")


def _words(counts: Counts) -> str:
    return f"{counts.rows:,} rows, {counts.rejected:,} rejected"


def _version(text: str) -> int:
    if (version := parse_version(text)) is None:
        raise ArgumentTypeError(f"{text!r} is not a version: a version is a whole number from 1 on")
    return version


def _positive(text: str) -> int:
    if (count := _count(text)) == 0:
        raise ArgumentTypeError("it is at least 1")
    return count


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number of rows")
    return int(text)
