"""The log files of a home: who writes which, and when they go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from fairlead.config import Settings
from fairlead.serving.payload_log import PayloadLog
from fairlead.telemetry.log_file import Kept, LogFile, Stream, sweep
from fairlead.telemetry.logs import keep_log
from fairlead.telemetry.pseudonym import open_pseudonyms
from fairlead.transport.access_log import AccessLog

__all__ = ["keep_sweeping", "open_access_log", "open_log_files", "open_payload_log", "sweep_logs"]

_SWEEP_S = 3600.0
_KEY = "user-ids.key"
_log = logging.getLogger(__name__)


def open_log_files(settings: Settings, on_failure: Callable[[int], object] = lambda _: None) -> None:
    """Write this process's log to the home's files too, unless they are not wanted.

    Args:
        settings: where the home is.
        on_failure: told how many lines were lost.
    """
    if settings.log_files == "on":
        application, exceptions = (
            _open(settings, stream, on_failure) for stream in (Stream.APPLICATION, Stream.EXCEPTIONS)
        )
        keep_log(application, exceptions)


def open_access_log(settings: Settings, on_failure: Callable[[int], object]) -> AccessLog | None:
    """Where a worker notes its requests; None when that is not wanted, or users could not be kept apart from names."""
    if settings.access_log == "off" or settings.log_files == "off":
        return None
    try:
        pseudonym = open_pseudonyms(settings.home / _KEY)
    except OSError as error:
        _log.error(
            "requests are not logged, for want of a key for users' names in %s: %s", settings.home, error.strerror
        )
        return None
    return AccessLog(_open(settings, Stream.ACCESS, on_failure), pseudonym=pseudonym, on_drop=on_failure)


def open_payload_log(settings: Settings, on_failure: Callable[[int], object]) -> PayloadLog | None:
    """Where a worker notes what was asked and answered; None when nobody wants it."""
    if settings.payload_log == "off" or settings.log_files == "off":
        return None
    return PayloadLog(_open(settings, Stream.PAYLOADS, on_failure), on_drop=on_failure)


def sweep_logs(settings: Settings) -> None:
    """Delete what was kept long enough."""
    today = datetime.now(UTC).date()
    for stream in Stream:
        try:
            gone = sweep(settings.log_path, stream, _kept(settings, stream), today=today)
        except OSError as error:
            _log.error("old files of the %s log stay in %s: %s", stream, settings.log_path, error.strerror)
            continue
        if gone:
            _log.info("%d files of the %s log were kept long enough and are gone", len(gone), stream)


async def keep_sweeping(settings: Settings) -> None:
    """Delete what was kept long enough, now and every hour."""
    while True:
        await asyncio.to_thread(sweep_logs, settings)
        await asyncio.sleep(_SWEEP_S)


def _open(settings: Settings, stream: Stream, on_failure: Callable[[int], object]) -> LogFile:
    return LogFile(settings.log_path, stream, max_bytes=settings.log_bytes, on_failure=on_failure)


def _kept(settings: Settings, stream: Stream) -> Kept:
    days = {
        Stream.ACCESS: settings.keep_access_logs_days,
        Stream.APPLICATION: settings.keep_application_logs_days,
        Stream.EXCEPTIONS: settings.keep_exception_logs_days,
        Stream.PAYLOADS: settings.keep_payload_logs_days,
    }
    return Kept(days=days[stream], max_bytes=settings.log_bytes)
