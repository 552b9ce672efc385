"""Promises that a reliability run kept or broke: printed one a line, and the exit status says whether all were kept."""

from __future__ import annotations

from argparse import ArgumentParser

__all__ = ["Promises", "add_untimed_flag"]


class Promises:
    """What was checked so far.

    Args:
        is_timed: whether latencies count; where a machine does other things too, they are only printed.
    """

    def __init__(self, *, is_timed: bool = True) -> None:
        self._is_timed = is_timed
        self._broken = 0

    def at_most(self, what: str, found: float, bar: float, unit: str = "") -> None:
        """Check that a figure stays within its bar."""
        self._note(f"{what}: {found:,.6g}{unit}, at most {bar:,.6g}{unit}", is_kept=found <= bar)

    def at_least(self, what: str, found: float, bar: float, unit: str = "") -> None:
        """Check that a figure reaches its bar."""
        self._note(f"{what}: {found:,.6g}{unit}, at least {bar:,.6g}{unit}", is_kept=found >= bar)

    def takes_at_most(self, what: str, found: float, bar: float, unit: str) -> None:
        """Check that a time stays within its bar, when times count."""
        if self._is_timed:
            self.at_most(what, found, bar, unit)
        else:
            print(f"noted  {what}: {found:,.6g}{unit}, at most {bar:,.6g}{unit}", flush=True)

    @property
    def all_kept(self) -> bool:
        return not self._broken

    @property
    def exit_status(self) -> int:
        """0 when all were kept, else 1."""
        return 1 if self._broken else 0

    def _note(self, line: str, *, is_kept: bool) -> None:
        self._broken += not is_kept
        print(f"{'kept  ' if is_kept else 'BROKEN'} {line}", flush=True)


def add_untimed_flag(parser: ArgumentParser) -> None:
    """`--untimed`, for `Promises`."""
    parser.add_argument("--untimed", action="store_true", help="print latencies without holding them against bars")
