"""`fairlead export`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead export digits@champion --to tflite
  fairlead export digits@3 --to tfserving --output models/digits

What is written is loaded by that system's own library and asked the version's golden rows before it is put there."""


def configure(parser: ArgumentParser) -> None:
    from fairlead.exporting.targets import TARGETS  # noqa: PLC0415 - the control plane

    parser.add_argument("version", metavar="MODEL[@VERSION|@LABEL]", help="what to export; a model is what serves")
    parser.add_argument("--to", required=True, choices=TARGETS, help="the system that is to load it")
    parser.add_argument("--output", type=Path, help="where to (default: MODEL-VERSION, in the present directory)")
    parser.add_argument("--storage-uri", default="", metavar="URI", help="kserve: where models/ will be fetched from")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_flags(parser, "home", "store", "trusted_keys")


def run(arguments: Namespace) -> int:
    from fairlead.app.exporting import export  # noqa: PLC0415 - the control plane
    from fairlead.exporting.targets import TARGETS  # noqa: PLC0415 - likewise

    done = export(
        settings_from(arguments),
        arguments.version,
        TARGETS[arguments.to],
        arguments.output,
        storage_uri=arguments.storage_uri,
    )
    if arguments.json:
        json_line(
            {
                "version": str(done.version),
                "path": str(done.path),
                "rows": done.rows,
                "difference": done.difference,
            }
        )
    say(
        f"{done.path} is {done.version}; on {done.rows} golden rows its answers differ by {done.difference:.1e} at most"
    )
    return 0
