"""`fairlead tensorboard`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from fairlead.app.log_files import open_log_files
from fairlead.app.tensorboard import show_training
from fairlead.cli.output import say, settings_from
from fairlead.config import add_flags
from fairlead.telemetry.logs import configure_logging

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead tensorboard
  fairlead tensorboard --tensorboard-port 7000 --keep-training-logs-days 30

A process of its own over HOME/tensorboard; runs that ended long ago are deleted."""


def configure(parser: ArgumentParser) -> None:
    add_flags(parser, "home", "tensorboard_host", "tensorboard_port", "keep_training_logs_days", "log_format")


def run(arguments: Namespace) -> int:
    settings = settings_from(arguments)
    configure_logging(sys.stderr, settings.log_format)
    open_log_files(settings)
    show_training(settings, on_ready=lambda address: say(f"training runs are shown at {address}"))
    return 0
