"""`fairlead drill`."""

from __future__ import annotations

import textwrap
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from fairlead.cli.output import json_line, settings_from
from fairlead.config import add_flags
from fairlead.training.extras import INSTALL_CONTROL, needs_extras

if TYPE_CHECKING:
    from fairlead.app.drill.report import Step

__all__ = ["EXAMPLE", "configure", "run"]

EXAMPLE = """example:
  fairlead drill
  fairlead drill digits --json

Copies the live set-up into a scratch directory, publishes a bad version there under synthetic traffic, and shows it
caught by a canary and rolled back; then rolls one back that was promoted by hand, and restores a backup over damage.
Nothing of the live set-up is changed. It takes half a minute, and three minutes at most.

Exit status 1 when a step did not hold."""

_WIDTH = 120
_NAMES = 20


def configure(parser: ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", help="which to practise with (default: the only one that serves)")
    parser.add_argument("--keep", action="store_true", help="leave the scratch directory there, to look around in")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    add_flags(parser, "home", "store", "database_url", "tracking_uri")


def run(arguments: Namespace) -> int:
    with needs_extras("a drill", INSTALL_CONTROL):
        from fairlead.app.drill.drill import drill  # noqa: PLC0415 - the control plane
    told: list[Step] = []
    report = drill(
        settings_from(arguments),
        arguments.model,
        on_step=told.append if arguments.json else lambda step: _show(step, told),
        keeps_scratch=arguments.keep,
    )
    if arguments.json:
        json_line(report.to_json())
    else:
        print(f"\n{report.sentence}")
    return 0 if report.held else 1


def _show(step: Step, told: list[Step]) -> None:
    """A line or more for the step, as soon as it is over; a heading before the first."""
    if not told:
        print(f"{'STEP':<{_NAMES}}{'SECONDS':>7}  {'':<14}WHAT HAPPENED")
    told.append(step)
    print(_line(step), flush=True)


def _line(step: Step) -> str:
    verdict = "held" if step.held else "did not hold"
    start = f"{step.name:<{_NAMES}}{step.seconds:>7.2f}  {verdict:<14}"
    indent = " " * len(start)
    return textwrap.fill(
        step.what,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
