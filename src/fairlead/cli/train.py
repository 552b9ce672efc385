"""`fairlead train`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from fairlead.cli.engine_flag import add_engine_flag
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead train digits
  FAIRLEAD_DATA_DIR=~/data fairlead train digits --profile prod
  fairlead train ./my_recipe
  fairlead train digits --engine ray

Exit status 3: the gate said no; nothing was published and what serves goes on serving."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("recipe", help="an example's name, or a folder or file with a recipe")
    parser.add_argument("--profile", help="dev (5 epochs), staging or prod (10); default: FAIRLEAD_ENV, else dev")
    parser.add_argument("--seed", type=int, default=0, help="makes the run repeatable (default: 0)")
    add_engine_flag(parser)
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_flags(parser, "home", "store", "data_dir", "tracking_uri", "signing_key")


def run(arguments: Namespace) -> int:
    from fairlead.app.training import train  # noqa: PLC0415 - the control plane, which other commands do without
    from fairlead.controller.retrain_config import RetrainConfig  # noqa: PLC0415 - likewise
    from fairlead.gate.table import table  # noqa: PLC0415 - likewise

    outcome = train(
        settings_from(arguments),
        arguments.recipe,
        profile=arguments.profile,
        seed=arguments.seed,
        say=say,
        config=RetrainConfig(engine=arguments.engine),
    )
    manifest = outcome.version.manifest if outcome.version else None
    if arguments.json:
        json_line(
            {
                "gate": outcome.report.to_json(),
                "metrics": dict(outcome.metrics),
                "version": manifest.version if manifest else None,
                "stable": outcome.release.stable if outcome.release else None,
            }
        )
    else:
        print(table(outcome.report))
    if manifest is None:
        served = f"version {outcome.release.stable} goes on serving" if outcome.release else "there is none to serve"
        say(f"nothing was published; {served}")
        return 3
    say(f"published {manifest.id}")
    if outcome.release and outcome.release.stable == manifest.version:
        say(f"{manifest.id} is the champion; next: fairlead serve")
    else:
        say(f"{manifest.id} is the challenger; next: fairlead promote {manifest.model} {manifest.version}")
    return 0
