"""Where what callers have used is kept, and for how long."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path

from fairlead.config import Settings
from fairlead.errors import FairleadError
from fairlead.metering.exchange import Exchange, Totals
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Meter
from fairlead.metering.redis_totals import RedisTotals
from fairlead.telemetry.exchange import ExchangeMetrics

__all__ = ["keep_exchanging", "keep_quotas", "open_meter", "open_totals"]

_WRITE_S = 5.0
_EXCHANGE_S = 0.25
_log = logging.getLogger(__name__)


def open_meter(settings: Settings, ledger: Ledger) -> Meter:
    """What charges in a worker; quotas are kept in the home, where there are keys that can have one."""
    if not settings.keys_path.exists():
        return Meter(ledger)
    try:
        return Meter(ledger, Ledger.open(settings.quotas_path))
    except FairleadError as error:
        _log.error("what keys use of their quotas is forgotten when the server ends: %s", error)
        return Meter(ledger)


async def keep_quotas(settings: Settings) -> None:
    """See to it that what is used of quotas reaches the disk; a process that dies loses none of it, a machine may."""
    while True:
        await asyncio.sleep(_WRITE_S)
        with suppress(OSError):
            await asyncio.to_thread(_write, settings.quotas_path)


def open_totals(settings: Settings) -> Totals | None:
    """Where this host meets the others with which it shares rates; None where there are none.

    Raises:
        FairleadError: as `RedisTotals`.
    """
    return RedisTotals(settings.redis_url) if settings.redis_url else None


async def keep_exchanging(ledger: Ledger, totals: Totals | None, metrics: ExchangeMetrics) -> None:
    """Share rates with other hosts, four times a second; the log says when that begins and ends to fail."""
    if totals is None:
        return
    exchange, was_failing = Exchange(ledger, totals), False
    while True:
        await asyncio.sleep(_EXCHANGE_S)
        try:
            await asyncio.to_thread(exchange.step)
        except FairleadError as error:
            metrics.failed.inc()
            if not was_failing:
                _log.error("rates are not shared, and this host goes on with the share that it had: %s", error)
            was_failing = True
        else:
            metrics.done.inc()
            if was_failing:
                _log.warning("rates are shared again")
            was_failing = False


def _write(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
