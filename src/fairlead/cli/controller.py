"""`fairlead controller`."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, ArgumentParser, Namespace

from fairlead.app.log_files import open_log_files
from fairlead.cli.output import say, settings_from
from fairlead.config import add_flags
from fairlead.telemetry.logs import configure_logging
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

__all__ = ["EXAMPLE", "FLAGS", "configure", "run"]

FLAGS = (
    "home",
    "store",
    "data_dir",
    "env",
    "tracking_uri",
    "database_url",
    "trusted_keys",
    "signing_key",
    "schedule",
    "schedule_zone",
    "rollout_plan",
    "train_on_labels",
    "backup_hours",
    "keep_backups",
    "keep_versions",
    "keep_predictions_days",
    "keep_inputs_days",
    "keep_labels_days",
    "keep_training_logs_days",
    "log_format",
)

EXAMPLE = """example:
  fairlead controller digits
  fairlead controller digits ./my_recipe --schedule "0 3 * * *" --schedule-zone Europe/Berlin

Brings rollouts forward, watches drift and quality, trains again when they or the schedule say so, backs up and tidies.
Of several controllers on one database one leads; the others stand by."""


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("recipes", nargs="*", help="of the models to train again, as `fairlead train` takes them")
    parser.add_argument("--once", action="store_true", help="take one look and end")
    parser.add_argument("--confirm-deletion", action="store_true", help="delete what is old, however much at once")
    parser.add_argument("--with-parent", action="store_true", help=SUPPRESS)
    add_flags(parser, *FLAGS)


def run(arguments: Namespace) -> int:
    with needs_extras("the controller", INSTALL_CONTROL):
        from fairlead.app.controlling import control  # noqa: PLC0415 - the control plane, which others do without

    settings = settings_from(arguments)
    configure_logging(sys.stderr, settings.log_format)
    open_log_files(settings)
    control(
        settings,
        arguments.recipes,
        is_once=arguments.once,
        is_child=arguments.with_parent,
        is_confirmed=arguments.confirm_deletion,
        on_look=lambda holding: say(f"leading: {holding}" if holding.is_mine else f"standing by: {holding}"),
    )
    return 0
