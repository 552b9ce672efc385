"""Rows to begin a table with: bearings, of which some are worn."""

from __future__ import annotations

import random

__all__ = ["bearings"]

_ROWS = 1500
_WORN = 0.3
_KINDS = {"ball": 0.0, "roller": 4.0, "sleeve": 9.0}
"""How much warmer each kind runs, in degrees."""


def bearings() -> str:
    """A file of CSV, the same each time: made up, so that anybody may have it and it needs no download."""
    dice = random.Random(20)  # noqa: S311 - rows, not secrets
    return "kind,hours,temperature,vibration,state\n" + "".join(_row(dice) for _ in range(_ROWS))


def _row(dice: random.Random) -> str:
    is_worn = dice.random() < _WORN
    kind = dice.choice(list(_KINDS))
    hours = dice.randrange(4000, 20000) if is_worn else dice.randrange(14000)
    temperature = dice.gauss(76 if is_worn else 62, 4) + _KINDS[kind]
    vibration = max(0.1, dice.gauss(4.6 if is_worn else 2.4, 0.8))
    return f"{kind},{hours},{temperature:.1f},{vibration:.2f},{'worn' if is_worn else 'healthy'}\n"
