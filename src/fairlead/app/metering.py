"""Where what callers have used is kept, and for how long."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from fairlead.config import Settings
from fairlead.errors import FairleadError
from fairlead.metering.exchange import Exchange, Totals, share_quotas
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Meter
from fairlead.metering.redis_totals import RedisTotals
from fairlead.telemetry.exchange import ExchangeMetrics

__all__ = ["keep_exchanging", "keep_quotas", "open_meter", "open_totals"]

_WRITE_S = 5.0
_EXCHANGE_S = 0.25
_log = logging.getLogger(__name__)


def open_meter(settings: Settings, ledger: Ledger) -> Meter:
    """What charges in a worker; quotas are kept in the home, where keys, tokens or models can have one."""
    if settings.token_quota is None and not settings.model_quotas and not settings.keys_path.exists():
        return Meter(ledger)
    try:
        settings.quotas_path.parent.mkdir(parents=True, exist_ok=True)
        return Meter(ledger, Ledger.open(settings.quotas_path))
    except (OSError, FairleadError) as error:
        _log.error("what is used of quotas is forgotten when the server ends: %s", error)
        return Meter(ledger)


async def keep_quotas(settings: Settings) -> None:
    """See to it that what is used of quotas reaches the disk, and the other hosts where there are some.

    A process that dies loses none of it, a machine may.
    """
    totals, ledger, steps = open_totals(settings), None, 0
    while True:
        await asyncio.sleep(_EXCHANGE_S if totals else _WRITE_S)
        steps += 1
        with suppress(OSError, FairleadError):  # the worker that opens it, and the exchange of rates, have said so
            if ledger is None and settings.quotas_path.exists():
                ledger = Ledger.open(settings.quotas_path)
            if ledger is not None and totals is not None:
                await asyncio.to_thread(share_quotas, ledger, totals)
            if ledger is not None and (totals is None or steps % round(_WRITE_S / _EXCHANGE_S) == 0):
                await asyncio.to_thread(ledger.write)


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
