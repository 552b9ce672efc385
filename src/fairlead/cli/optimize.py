"""`fairlead optimize`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from fairlead.cli.output import columns, json_line, say, settings_from
from fairlead.config import add_flags

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead optimize digits@champion
  fairlead optimize digits@3 --margin 0.5 --at-least 1.5
  fairlead optimize tagger --data rows.npz

Each candidate is measured beside the version on one core of this machine, and judged on the same rows. The fastest that
passes is published as the next version; it waits for `fairlead rollout` or `fairlead promote`.

Exit status 3: none passed; nothing was published."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("version", metavar="MODEL[@VERSION|@LABEL]", help="what to optimise; a model is what serves")
    parser.add_argument("--recipe", help="whose rows calibrate and judge (default: the one of the model's name)")
    parser.add_argument("--data", type=Path, help="rows instead: an .npz with an array for each input, and truth")
    parser.add_argument(
        "--margin", type=float, default=0.1, help="points of accuracy that may be lost at most (default: 0.1)"
    )
    parser.add_argument("--at-least", type=float, default=1.2, help="how many times as fast it must be (default: 1.2)")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_flags(parser, "home", "store", "data_dir", "tracking_uri", "signing_key", "providers")


def run(arguments: Namespace) -> int:
    from fairlead.app.judged_rows import rows_of_file, rows_of_recipe  # noqa: PLC0415 - the control plane
    from fairlead.app.optimizing import optimize  # noqa: PLC0415 - likewise
    from fairlead.gate.optimized import Margins  # noqa: PLC0415 - likewise

    settings = settings_from(arguments)
    done = optimize(
        settings,
        arguments.version,
        lambda manifest: (
            rows_of_file(arguments.data, manifest)
            if arguments.data
            else rows_of_recipe(settings, arguments.recipe or manifest.model, manifest, say)
        ),
        margins=Margins(accuracy_loss=arguments.margin / 100, least_speedup=arguments.at_least),
        say=say,
    )
    if arguments.json:
        json_line(done.to_json())
    else:
        print(columns(done.rows_of_table))
        for line in done.refusals:
            print(line)
    if done.version is None:
        say(f"nothing was published; {done.original} stays as it is")
        return 3
    say(f"published {done.version}, which is {done.best} of {done.original}")
    say(f"next: fairlead rollout, or fairlead promote {done.version.model} {done.version.version}")
    return 0
