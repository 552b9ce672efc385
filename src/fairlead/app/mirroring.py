"""The parent follows a store in a bucket for all processes of its host; they see a directory."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.telemetry.store import StoreMetrics

if TYPE_CHECKING:
    from fairlead.store.mirror import Mirror

__all__ = ["begin_mirroring", "keep_mirroring", "on_this_host"]

_EVERY_S, _LOOK_S = 1.0, 0.1
_PATIENCE_S = 2.0
"""How long a server that has a copy waits for the bucket before it begins with the copy as it is."""

_WHOLE_EVERY_S = 30.0
_log = logging.getLogger(__name__)


def begin_mirroring(settings: Settings) -> Mirror | None:
    """Have here what the bucket has; None where the store is a directory.

    A bucket that does not answer is no reason not to serve what it last said, nor to begin late.

    Raises:
        FairleadError: what `Mirror.pull` raises, if there is nothing here yet.
    """
    if settings.bucket_url is None:
        return None
    from fairlead.app.releases import open_mirror  # noqa: PLC0415 - numpy comes with it, and the parent is to be small

    mirror = open_mirror(settings)
    if mirror is None:
        return None
    had_at = mirror.pulled_at

    def begin() -> None:
        mirror.pull(is_whole=True)
        mirror.mend()

    call = _Call(begin)
    call.start()
    call.join(_PATIENCE_S if had_at else None)
    error = call.error
    if error is not None and not had_at and _code(error) is not Code.DATA_LOSS:  # that of one model: others are there
        raise error
    if error is not None or call.is_alive():
        ago = f"{time.time() - had_at:.0f} s ago" if had_at else "now"
        _log.warning("what %s said %s is served: %s", settings.bucket_url, ago, error or "it does not answer")
    return mirror


class _Call(threading.Thread):
    """One call in a thread that a process does not wait for at its end: a bucket may take long to answer.

    Attributes:
        error: what it raised, once it has ended.
    """

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__(name="mirror", daemon=True)
        self._call = call
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._call()
        except Exception as error:  # noqa: BLE001 - whoever began it looks
            self.error = error


def _code(error: Exception) -> Code:
    return error.code if isinstance(error, FairleadError) else Code.INTERNAL


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
        call = _Call(partial(mirror.pull, is_whole=is_whole))
        call.start()
        while call.is_alive():
            await asyncio.sleep(_LOOK_S)
            metrics.age_s.set(time.time() - mirror.pulled_at)
        if call.error is not None:
            metrics.failures.inc()
            if _code(call.error) is not told:
                told = _code(call.error)
                _log.error("the store is not followed, and what is here goes on serving: %s", call.error)
        else:
            if told is not None:
                _log.info("the store is followed again")
            told = None
            whole_at = time.monotonic() if is_whole else whole_at
        metrics.age_s.set(time.time() - mirror.pulled_at)
        await asyncio.sleep(_EVERY_S)
