"""`fairlead rollback`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fairlead.app.releases import rollback
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead rollback digits
  fairlead rollback digits --to 3 --why "wrong answers on sevens"

Needs the model store and nothing else. Running servers follow within a poll."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("model")
    parser.add_argument("--to", type=int, metavar="VERSION", help="default: the stable version before this one")
    parser.add_argument("--why", default="", help="for the history")
    parser.add_argument("--json", action="store_true", help="print the release as JSON")
    add_flags(parser, "home", "store", "tracking_uri")


def run(arguments: Namespace) -> int:
    model = arguments.model
    done = rollback(settings_from(arguments), model, arguments.why or "rolled back by hand", arguments.to, say)
    for version, reason in done.passed_over.items():
        say(f"passed over {model}@{version}: {reason}")
    if arguments.json:
        json_line(
            {
                "model": model,
                "revision": done.release.revision,
                "stable": done.release.stable,
                "left": done.left,
                "passed_over": {str(version): reason for version, reason in done.passed_over.items()},
            }
        )
    else:
        print(f"stable: {model}@{done.release.stable}, no longer {done.left} (release {done.release.revision})")
    return 0
