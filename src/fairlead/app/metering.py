"""Where what callers have used is kept, and for how long."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from pathlib import Path

from fairlead.config import Settings
from fairlead.errors import FairleadError
from fairlead.metering.ledger import Ledger
from fairlead.metering.meter import Meter

__all__ = ["keep_quotas", "open_meter"]

_WRITE_S = 5.0
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


def _write(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
