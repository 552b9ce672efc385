"""The log files of a home: who writes which, and when they go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from fairlead.config import Settings
from fairlead.telemetry.log_file import Kept, LogFile, Stream, sweep
from fairlead.telemetry.logs import keep_log

__all__ = ["keep_sweeping", "open_file", "open_log_files", "sweep_logs"]

_SWEEP_S = 3600.0
_log = logging.getLogger(__name__)


def open_log_files(settings: Settings, on_failure: Callable[[int], object] = lambda _: None) -> None:
    """Write this process's log to the home's files too, unless they are not wanted.

    Args:
        settings: where the home is.
        on_failure: told how many lines were lost.
    """
    if settings.log_files == "on":
        application, exceptions = (
            open_file(settings, stream, on_failure) for stream in (Stream.APPLICATION, Stream.EXCEPTIONS)
        )
        keep_log(application, exceptions)


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


def open_file(settings: Settings, stream: Stream, on_failure: Callable[[int], object]) -> LogFile:
    """Where the lines of a stream go; nothing is opened before there is one."""
    return LogFile(settings.log_path, stream, max_bytes=settings.log_bytes, on_failure=on_failure)


def _kept(settings: Settings, stream: Stream) -> Kept:
    days = {
        Stream.ACCESS: settings.keep_access_logs_days,
        Stream.APPLICATION: settings.keep_application_logs_days,
        Stream.EXCEPTIONS: settings.keep_exception_logs_days,
        Stream.PAYLOADS: settings.keep_payload_logs_days,
    }
    return Kept(days=days[stream], max_bytes=settings.log_bytes)
