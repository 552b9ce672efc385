"""What a shipper does, in a module that a process which is soon killed has loaded soon."""

from __future__ import annotations

from fairlead.monitoring.prediction_log import PredictionLog

from .conftest import at, prediction, tally

PIECE = 20


def ship_piece(log: PredictionLog, piece: int) -> None:
    """Ship piece number `piece`: twenty rows and their count."""
    rows = [prediction(piece * PIECE + number) for number in range(PIECE)]
    log.ship("w", rows, [tally(PIECE)], begin=at(0, piece), end=at(0, piece + 1), dropped=1)
