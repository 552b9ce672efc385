"""The ports' TLS, put together from the settings; and the parent's watch over the certificate."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.telemetry.tls import TlsMetrics
from fairlead.transport.tls.files import TlsFiles
from fairlead.transport.tls.followed import FollowedTls

__all__ = ["DAY_S", "SOON_DAYS", "has_tls", "keep_watching", "open_tls", "tls_files"]

DAY_S, SOON_DAYS = 86400.0, 21
_PROTOCOLS = {"rest": "http/1.1", "management": "http/1.1", "grpc": "h2"}
_LOOK_S = 0.5
_log = logging.getLogger(__name__)


def tls_files(settings: Settings) -> TlsFiles | None:
    """The files that were named; None where connections are plain.

    Raises:
        FairleadError: INVALID_ARGUMENT when one of them is missing.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None and settings.tls_client_ca is None:
        return None
    if certificate is None or key is None:
        name = "FAIRLEAD_TLS_CERTIFICATE" if certificate is None else "FAIRLEAD_TLS_KEY"
        raise FairleadError(Code.INVALID_ARGUMENT, f"TLS needs {name} as well", hint=f"{name}=/etc/fairlead/FILE.pem")
    return TlsFiles(certificate=certificate, key=key, client_ca=settings.tls_client_ca)


def has_tls(settings: Settings, port: str) -> bool:
    """Whether the port, "rest", "grpc" or "management", has TLS."""
    return settings.tls_certificate is not None and port in settings.tls_ports


def open_tls(settings: Settings, port: str, failed: Callable[[], None]) -> FollowedTls | None:
    """The TLS of a port; None where its connections are plain.

    Args:
        settings: name the files.
        port: "rest", "grpc" or "management".
        failed: called for each handshake that fails.

    Raises:
        FairleadError: when the files are no good.
    """
    files = tls_files(settings)
    return FollowedTls(files, _PROTOCOLS[port], failed=failed) if files and port in settings.tls_ports else None


async def keep_watching(settings: Settings, metrics: TlsMetrics) -> None:
    """Say in metrics and log when the certificate ends, and what is wrong with files that were to follow it."""
    files = tls_files(settings)
    if files is None:
        return
    tls, told_day = FollowedTls(files, "http/1.1"), -1
    while True:
        if tls.look():
            told_day = -1
            if tls.fault is not None:
                _log.error("the certificate stays as it was: %s", tls.fault)
            else:
                _log.info("new connections are shown the certificate that ends at %s", _date(tls.certificate.ends))
        metrics.ends.set(tls.certificate.ends)
        metrics.is_stale.set(tls.fault is not None)
        days = int((tls.certificate.ends - time.time()) // DAY_S)
        if days < SOON_DAYS and days != told_day:
            told_day = days
            _log.warning("the certificate ends at %s: clients refuse it from then on", _date(tls.certificate.ends))
        await asyncio.sleep(_LOOK_S)


def _date(second: float) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M} UTC"
