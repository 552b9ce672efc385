"""`fairlead retrain`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from fairlead.app.log_files import open_log_files
from fairlead.cli.controller import FLAGS
from fairlead.cli.engine_flag import add_engine_flag
from fairlead.cli.output import json_line, say, settings_from
from fairlead.config import add_flags
from fairlead.telemetry.logs import configure_logging
from fairlead.training.extras import needs_extras

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead retrain digits
  fairlead retrain digits --epochs 10
  fairlead retrain digits --config config.json
  fairlead retrain digits --engine ray

config.json may have accuracy_threshold, engine, training_config (epochs, batch_size) and notification_config (enabled).
Trains, gates and publishes; what passes is tried as the plan says, while a controller runs.
Exit status 3: the gate said no."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("recipe", help="as `fairlead train` takes it")
    parser.add_argument("--epochs", type=int, help="passes over the data")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a config.json")
    add_engine_flag(parser, None)
    parser.add_argument("--why", default="", help="for the history")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    add_flags(parser, *FLAGS)


def run(arguments: Namespace) -> int:
    with needs_extras("training again"):
        from fairlead.app.retrain import retrain  # noqa: PLC0415 - the control plane, which others do without

    settings = settings_from(arguments)
    configure_logging(sys.stderr, settings.log_format)
    open_log_files(settings)
    outcome = retrain(
        settings,
        arguments.recipe,
        epochs=arguments.epochs,
        config=arguments.config,
        engine=arguments.engine,
        why=arguments.why,
        say=say,
    )
    if arguments.json:
        json_line({"status": outcome.status.value, "version": outcome.version, "why": outcome.outcome.get("why", "")})
    else:
        version = "" if outcome.version is None else f" version {outcome.version}"
        print(f"{outcome.model}: {outcome.status.value}{version}: {outcome.outcome.get('why', '')}")
    return {"refused": 3, "failed": 1}.get(outcome.status.value, 0)
