"""What a worker writes of each request. The parent, which imports no numpy, knows the log files alone."""

from __future__ import annotations

import logging
from collections.abc import Callable

from fairlead.app.log_files import open_file
from fairlead.config import Settings
from fairlead.serving.payload_log import PayloadLog
from fairlead.telemetry.log_file import Stream
from fairlead.telemetry.pseudonym import open_pseudonyms
from fairlead.transport.access_log import AccessLog

__all__ = ["open_access_log", "open_payload_log"]

_KEY = "user-ids.key"
_log = logging.getLogger(__name__)


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
    return AccessLog(open_file(settings, Stream.ACCESS, on_failure).write, pseudonym=pseudonym, on_drop=on_failure)


def open_payload_log(settings: Settings, on_failure: Callable[[int], object]) -> PayloadLog | None:
    """Where a worker notes what was asked and answered; None when nobody wants it."""
    if settings.payload_log == "off" or settings.log_files == "off":
        return None
    return PayloadLog(open_file(settings, Stream.PAYLOADS, on_failure).write, on_drop=on_failure)
