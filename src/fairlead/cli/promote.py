"""`fairlead promote`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fairlead.app.releases import promote
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.servable.identity import ServableId

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead promote digits 2
  fairlead promote digits 3 --label canary      # callers reach it as /v1/models/digits/labels/canary

Running servers follow within a poll, without a restart or a failed request."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("model")
    parser.add_argument("version", type=int)
    parser.add_argument("--label", help="let this label mean the version, and leave the stable one alone")
    parser.add_argument("--why", default="", help="for the history")
    parser.add_argument("--json", action="store_true", help="print the release as JSON")
    add_flags(parser, "home", "store", "tracking_uri", "trusted_keys")


def run(arguments: Namespace) -> int:
    id_ = ServableId(arguments.model, arguments.version)
    release = promote(settings_from(arguments), id_, arguments.why or "promoted by hand", arguments.label, say)
    if arguments.json:
        json_line({"model": id_.model, "revision": release.revision, "stable": release.stable})
    else:
        print(f"{arguments.label or 'stable'}: {id_} (release {release.revision})")
    return 0
