"""`fairlead up`."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fairlead.app.access import check_access
from fairlead.app.releases import open_store
from fairlead.app.sample import write_sample
from fairlead.app.server import Addresses, serve
from fairlead.cli.controller import FLAGS as CONTROLLER_FLAGS
from fairlead.cli.output import say, settings_from
from fairlead.cli.serve import FLAGS, share
from fairlead.config import Settings, add_flags
from fairlead.errors import Code, FairleadError
from fairlead.serving.status import Readiness
from fairlead.telemetry.logs import configure_logging

__all__ = ["EXAMPLE", "configure", "run"]

_SECRETS = frozenset(field.name for field in dataclasses.fields(Settings) if field.metadata["is_secret"])

EXAMPLE = """example:
  fairlead up
  fairlead up digits --rest-port 9000

The first run trains; a later one serves what is there."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "recipe", nargs="?", default="digits", help="an example, or a folder named as its model (default: digits)"
    )
    parser.add_argument("--profile", help="see fairlead train")
    add_flags(parser, *dict.fromkeys((*FLAGS, *CONTROLLER_FLAGS)))


def run(arguments: Namespace) -> int:
    settings = settings_from(arguments)
    check_access(settings)  # before a training that would be for nothing
    model = Path(arguments.recipe).resolve().name
    if open_store(settings).release(model) is None:
        say(f"there is no champion of {model} yet: training one")
        # A process of its own: the one that serves must never have loaded a training framework.
        command = _train_command(settings, arguments)
        trained = subprocess.run(command, env=_environment(settings), check=False)  # noqa: S603 - our own command
        if trained.returncode != 0:
            return trained.returncode
        if open_store(settings).release(model) is None:
            raise FairleadError(
                Code.FAILED_PRECONDITION,
                f"the recipe {arguments.recipe} trained a model of another name than {model!r}",
                hint="fairlead serve serves it; name the folder as the model for fairlead up",
            )
    configure_logging(sys.stderr, settings.log_format)
    with _controller(settings, arguments.recipe):
        serve(
            settings,
            on_listening=lambda at: say(
                f"listening on {at.rest} (gRPC on {at.grpc}) with {share(settings)}; management on {at.management}"
            ),
            on_ready=lambda at, readiness: say(_welcome(settings, model, at, readiness)),
        )
    say("drained")
    return 0


@contextmanager
def _controller(settings: Settings, recipe: str) -> Iterator[None]:
    """A controller beside the server, for as long as the context lasts, where predictions are logged."""
    if not settings.logs_predictions:
        yield
        return
    flags = [flag for name in CONTROLLER_FLAGS if name not in _SECRETS for flag in _flag(name, settings)]
    command = [sys.executable, "-m", "fairlead.cli.main", "controller", recipe, "--with-parent", *flags]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.DEVNULL, process_group=0, env=_environment(settings)
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _environment(settings: Settings) -> dict[str, str]:
    """The environment of a child process, which is told there what no command line may show."""
    return {**os.environ, **settings.secrets()}


def _flag(name: str, settings: Settings) -> list[str]:
    text = settings.texts().get(name)
    return [] if text is None or text == "" else [f"--{name.replace('_', '-')}", text]


def _train_command(settings: Settings, arguments: Namespace) -> list[str]:
    command = [sys.executable, "-m", "fairlead.cli.main", "train", arguments.recipe]
    command += ["--home", str(settings.home), "--store", str(settings.store or settings.store_path)]
    for flag, value in (
        ("--profile", arguments.profile),
        ("--data-dir", settings.data_dir),
    ):
        command += [flag, str(value)] if value is not None else []
    return command


def _welcome(settings: Settings, model: str, at: Addresses, readiness: Readiness) -> str:
    version = readiness.models.get(model)
    lines = [f"\n{model} version {version} is served at {at.rest} (gRPC at {at.grpc})\n"]
    try:
        sample = write_sample(open_store(settings), model, version, settings.home / "samples")
    except FairleadError as error:
        lines.append(f"  no picture to try it with: {error.message}")
    else:
        url = f"{at.rest}/predict?model={model}"
        program = (
            f'import urllib.request as u; print(u.urlopen("{url}", open("{sample}", "rb").read()).read().decode())'
        )
        lines.append(f'  a picture   curl -s --data-binary @{sample} "{url}"')
        lines.append(f"  from Python python3 -c '{program}'")
    lines.append(f"  its status  curl -s {at.rest}/v1/models/{model}")
    if settings.has_try_page:
        lines.append(f"  a browser   {at.rest}/ is a page to try it on")
    if at.console:
        lines.append(f"\n  {at.console}")
    return "\n".join([*lines, "\nCtrl-C drains and stops.\n"])
