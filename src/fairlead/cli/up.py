"""`fairlead up`."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser, Namespace

from fairlead.app.releases import open_store
from fairlead.app.sample import write_sample
from fairlead.app.server import serve
from fairlead.cli.output import say, settings_from
from fairlead.cli.serve import FLAGS
from fairlead.config import Settings, add_flags
from fairlead.serving.status import Readiness
from fairlead.telemetry import configure_logging

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead up
  fairlead up digits --rest-port 9000

The first run trains; a later one serves what is there."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("recipe", nargs="?", default="digits", help="what to train and serve (default: digits)")
    parser.add_argument("--profile", help="see fairlead train")
    add_flags(parser, *FLAGS, "data_dir", "tracking_uri")


def run(arguments: Namespace) -> int:
    settings = settings_from(arguments)
    model = arguments.recipe
    if open_store(settings).release(model) is None:
        say(f"there is no champion of {model} yet: training one")
        # A process of its own: the one that serves must never have loaded a training framework.
        trained = subprocess.run(_train_command(settings, arguments), check=False)  # noqa: S603 - our own command
        if trained.returncode != 0:
            return trained.returncode
    configure_logging(sys.stderr, settings.log_format)
    serve(
        settings,
        on_listening=lambda address: say(f"listening on {address}"),
        on_ready=lambda address, readiness: say(_welcome(settings, model, address, readiness)),
    )
    say("drained")
    return 0


def _train_command(settings: Settings, arguments: Namespace) -> list[str]:
    command = [sys.executable, "-m", "fairlead.cli.main", "train", arguments.recipe]
    command += ["--home", str(settings.home), "--store", str(settings.store_path)]
    for flag, value in (
        ("--profile", arguments.profile),
        ("--data-dir", settings.data_dir),
        ("--tracking-uri", settings.tracking_uri),
    ):
        command += [flag, str(value)] if value is not None else []
    return command


def _welcome(settings: Settings, model: str, address: str, readiness: Readiness) -> str:
    sample = write_sample(open_store(settings), model, readiness.models[model], settings.home / "samples")
    body = f'--data-binary @{sample} "{address}/predict?model={model}"'
    return f"""
{model} version {readiness.models[model]} is served at {address}

  a picture   curl -s {body}
  from Python python3 -c 'import urllib.request as u; print(u.urlopen("{address}/predict?model={model}", open("{sample}", "rb").read()).read().decode())'
  its status  curl -s {address}/v1/models/{model}

Ctrl-C drains and stops.
"""  # noqa: E501 - a command to copy has no line breaks
