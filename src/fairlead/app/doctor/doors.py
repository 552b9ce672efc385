"""Who would be let in, and by which certificate."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from fairlead.app.access import open_doorkeeper, open_management_doorkeeper
from fairlead.app.doctor.finding import Finding, Health, ok
from fairlead.app.tls import DAY_S, SOON_DAYS, tls_files
from fairlead.config import Settings
from fairlead.errors import FairleadError

__all__ = ["access", "certificate"]


def access(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the ports would open, and what they would ask for. No credential is shown."""
    for name, host, opener in (
        ("access", settings.host, open_doorkeeper),
        ("management access", settings.management_host, open_management_doorkeeper),
    ):
        try:
            doorkeeper = opener(settings, "", environ)
        except FairleadError as error:
            yield _failed(name, error)
        else:
            asked = "only this machine reaches it" if doorkeeper is None else "credentials are asked for"
            yield ok(name, f"{host or '::'}: {asked}")


def certificate(settings: Settings) -> Iterator[Finding]:
    """How long the certificate is good, where there is to be TLS."""
    try:
        files = tls_files(settings)
        if files is None:
            return
        shown = files.load("http/1.1").certificate
    except FairleadError as error:
        yield _failed("certificate", error)
        return
    days = (shown.ends - time.time()) / DAY_S
    ends = f"{datetime.fromtimestamp(shown.ends, UTC):%Y-%m-%d %H:%M} UTC"
    message = f"for {', '.join(shown.names) or 'no name'}: ends in {days:.0f} days, at {ends}"
    if days < SOON_DAYS:
        hint = f"renew it; the server follows {files.certificate}"
        yield Finding(name="certificate", health=Health.WARNING, message=message, hint=hint)
    else:
        yield ok("certificate", message)


def _failed(name: str, error: FairleadError) -> Finding:
    return Finding(name=name, health=Health.FAILED, message=error.message, hint=error.hint)
