"""`fairlead up`."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fairlead.app.access import check_access
from fairlead.app.releases import open_store
from fairlead.app.sample import Sample, write_sample
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
  fairlead up digits messages --rest-port 9000

The first run trains; a later one serves what is there."""

_DEFAULT = "digits"


def configure(parser: ArgumentParser) -> None:
    parser.add_argument(
        "recipes", nargs="*", help="examples, or folders named as their models (default: digits)", metavar="recipe"
    )
    parser.add_argument("--profile", help="see fairlead train")
    add_flags(parser, *dict.fromkeys((*FLAGS, *CONTROLLER_FLAGS)))


def run(arguments: Namespace) -> int:
    settings = settings_from(arguments)
    check_access(settings)  # before a training that would be for nothing
    recipes = arguments.recipes or [_DEFAULT]
    for recipe in recipes:
        status = _train_first(settings, recipe, arguments.profile)
        if status != 0:
            return status
    configure_logging(sys.stderr, settings.log_format)
    models = [_model(recipe) for recipe in recipes]
    with _controller(settings, recipes):
        serve(
            settings,
            on_listening=lambda at: say(
                f"listening on {at.rest} (gRPC on {at.grpc}) with {share(settings)}; management on {at.management}"
            ),
            on_ready=lambda at, readiness: say(_welcome(settings, models, at, readiness)),
        )
    say("drained")
    return 0


def _model(recipe: str) -> str:
    """The model of a recipe, which `up` has to know before it is loaded."""
    return Path(recipe).resolve().name


def _train_first(settings: Settings, recipe: str, profile: str | None) -> int:
    """Train the recipe's model unless it has a champion, and return the exit status.

    Raises:
        FairleadError: FAILED_PRECONDITION when its model has another name.
    """
    model = _model(recipe)
    if open_store(settings).release(model) is not None:
        return 0
    say(f"there is no champion of {model} yet: training one")
    # A process of its own: the one that serves must never have loaded a training framework.
    command = _train_command(settings, recipe, profile)
    trained = subprocess.run(command, env=_environment(settings), check=False)  # noqa: S603 - our own command
    if trained.returncode == 0 and open_store(settings).release(model) is None:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the recipe {recipe} trained a model of another name than {model!r}",
            hint="fairlead serve serves it; name the folder as the model for fairlead up",
        )
    return trained.returncode


@contextmanager
def _controller(settings: Settings, recipes: Sequence[str]) -> Iterator[None]:
    """A controller beside the server, for as long as the context lasts, where predictions are logged."""
    if not settings.logs_predictions:
        yield
        return
    flags = [flag for name in CONTROLLER_FLAGS if name not in _SECRETS for flag in _flag(name, settings)]
    command = [sys.executable, "-m", "fairlead.cli.main", "controller", *recipes, "--with-parent", *flags]
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


def _train_command(settings: Settings, recipe: str, profile: str | None) -> list[str]:
    command = [sys.executable, "-m", "fairlead.cli.main", "train", recipe]
    command += ["--home", str(settings.home), "--store", str(settings.store or settings.store_path)]
    for flag, value in (("--profile", profile), ("--data-dir", settings.data_dir)):
        command += [flag, str(value)] if value is not None else []
    return command


def _welcome(settings: Settings, models: Sequence[str], at: Addresses, readiness: Readiness) -> str:
    lines: list[str] = []
    for model in models:
        version = readiness.models.get(model)
        lines.append(f"\n{model} version {version} is served at {at.rest} (gRPC at {at.grpc})\n")
        try:
            sample = write_sample(open_store(settings), model, version, settings.home / "samples")
        except FairleadError as error:
            lines.append(f"  nothing to try it with: {error.message}")
        else:
            lines += _ways_to_try(sample, f"{at.rest}/predict?model={model}")
        lines.append(f"  its status  curl -s {at.rest}/v1/models/{model}")
    if settings.has_try_page:
        lines.append(f"\n  a browser   {at.rest}/ is a page to try it on")
    if at.console:
        lines.append(f"\n  {at.console}")
    return "\n".join([*lines, "\nCtrl-C drains and stops.\n"])


def _ways_to_try(sample: Sample, url: str) -> Iterator[str]:
    if sample.picture is None:
        (form,) = sample.body
        body = json.dumps(sample.body, ensure_ascii=False)
        yield f"  a {form:<10}curl -s {shlex.quote(url)} -d {shlex.quote(body)}"
        literal = json.dumps(body, ensure_ascii=False)
        program = f'import urllib.request as u; print(u.urlopen("{url}", {literal}.encode()).read().decode())'
    else:
        yield f"  a picture   curl -s --data-binary @{sample.picture} {shlex.quote(url)}"
        program = (
            "import urllib.request as u; "
            f'print(u.urlopen("{url}", open("{sample.picture}", "rb").read()).read().decode())'
        )
    yield f"  from Python python3 -c {shlex.quote(program)}"
