"""A database, and rows to put into it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine
from tests.database.conftest import engine, server

from fairlead.monitoring.position import Position
from fairlead.monitoring.prediction import BOUNDS_S, PredictionRow, Tally
from fairlead.monitoring.prediction_log import PredictionLog

__all__ = ["engine", "server"]

NOW_US = 1_790_000_000_000_000
"""A day in September 2026."""


def prediction_id(number: int, *, at_us: int = NOW_US) -> str:
    """A UUID of version 7: the time, and the number in its tail."""
    text = f"{(at_us // 1000) << 80 | 7 << 76 | 2 << 62 | number:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def at(file: int, position: int) -> Position:
    """A place in a spool."""
    return Position(file=file, position=position)


def prediction(number: int, **changed: Any) -> PredictionRow:
    """A row of `digits` version 1, made at `NOW_US` unless `at_us` says otherwise."""
    values: dict[str, Any] = {
        "id": prediction_id(number, at_us=changed.get("at_us", NOW_US)),
        "at_us": NOW_US,
        "model": "digits",
        "version": 1,
        "arm": "stable",
        "latency_us": 900,
        "predicted": str(number % 10),
        "confidence": 0.75,
        "outputs": {"probabilities": [0.25, 0.75]},
        "features": {"mean": 0.5, "script": "latin"},
    }
    return PredictionRow(**{**values, **changed})


def tally(rows: int, **changed: Any) -> Tally:
    """Counts of `digits` version 1 in the minute of `NOW_US`: all rows as fast as can be."""
    values: dict[str, Any] = {
        "minute": NOW_US // 60_000_000,
        "model": "digits",
        "version": 1,
        "arm": "stable",
        "rows": rows,
        "errors": 0,
        "latency": (rows, *[0] * len(BOUNDS_S)),
    }
    return Tally(**{**values, **changed})


Ship = Callable[..., int]


@pytest.fixture
def log(engine: Engine) -> PredictionLog:
    """An empty prediction log."""
    return PredictionLog(engine)


@pytest.fixture
def ship(log: PredictionLog) -> Ship:
    """Ships rows as the next piece of a spool, from wherever it is."""

    def ship(*rows: PredictionRow, tallies: tuple[Tally, ...] = (), spool: str = "worker-0", dropped: int = 0) -> int:
        begin = log.position(spool)
        end = Position(file=begin.file, position=begin.position + 1)
        return log.ship(spool, rows, tallies, begin=begin, end=end, dropped=dropped)

    return ship
