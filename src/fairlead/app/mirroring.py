"""The parent follows a store in a bucket for all processes of its host; they see a directory."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.telemetry.store import StoreMetrics

if TYPE_CHECKING:
    from fairlead.store.mirror import Mirror

__all__ = ["begin_mirroring", "keep_mirroring", "on_this_host"]

_EVERY_S = 1.0
_WHOLE_EVERY_S = 30.0
_log = logging.getLogger(__name__)


def begin_mirroring(settings: Settings) -> Mirror | None:
    """Have here what the bucket has; None where the store is a directory.

    A bucket that does not answer is no reason not to serve what it last said.

    Raises:
        FairleadError: what `Mirror.pull` raises, if there is nothing here yet.
    """
    if settings.bucket_url is None:
        return None
    from fairlead.app.releases import open_mirror  # noqa: PLC0415 - numpy comes with it, and the parent is to be small

    mirror = open_mirror(settings)
    if mirror is None:
        return None
    try:
        mirror.pull(is_whole=True)
        mirror.mend()
    except FairleadError as error:
        if not mirror.pulled_at and error.code is not Code.DATA_LOSS:  # that of one model: the others are there
            raise
        ago = f"{time.time() - mirror.pulled_at:.0f} s ago" if mirror.pulled_at else "now"
        _log.warning("what %s said %s is served: %s", settings.bucket_url, ago, error)
    return mirror


def on_this_host(settings: Settings) -> Settings:
    """The settings of processes that only read the store."""
    return replace(settings, store=settings.store_path)


async def keep_mirroring(mirror: Mirror | None, metrics: StoreMetrics) -> None:
    """Follow the bucket every second, and all that is in it every half minute, in a thread: it may not answer."""
    if mirror is None:
        return
    told: Code | None = None
    whole_at = time.monotonic()
    while True:
        is_whole = time.monotonic() - whole_at > _WHOLE_EVERY_S
        try:
            await asyncio.to_thread(mirror.pull, is_whole=is_whole)
        except FairleadError as error:
            metrics.failures.inc()
            if error.code is not told:
                told = error.code
                _log.error("the store is not followed, and what is here goes on serving: %s", error)
        else:
            if told is not None:
                _log.info("the store is followed again")
            told = None
            whole_at = time.monotonic() if is_whole else whole_at
        metrics.age_s.set(time.time() - mirror.pulled_at)
        await asyncio.sleep(_EVERY_S)
