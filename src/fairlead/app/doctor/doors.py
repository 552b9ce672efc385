"""Who and what would be let in: by which credentials, which certificate, which signatures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from fairlead.app.access import open_doorkeeper, open_management_doorkeeper
from fairlead.app.doctor.finding import Finding, Health, ok
from fairlead.app.tls import DAY_S, SOON_DAYS, tls_files
from fairlead.config import Settings
from fairlead.errors import FairleadError
from fairlead.store.signing import SigningKey, TrustedKeys

__all__ = ["access", "certificate", "signing"]


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


def signing(settings: Settings) -> Iterator[Finding]:
    """Whether the keys that sign versions, and those that must have signed them, can be used."""
    if settings.signing_key is not None:
        try:
            SigningKey(settings.signing_key).check()
        except FairleadError as error:
            yield _failed("signing key", error)
        else:
            yield ok("signing key", f"{settings.signing_key}: what is published is signed")
    if settings.trusted_keys:
        try:
            count = len(TrustedKeys([Path(place) for place in settings.trusted_keys]).keys())
        except FairleadError as error:
            yield _failed("trusted keys", error)
        else:
            yield ok("trusted keys", f"{count}: versions that none of them signed are not served")


def _failed(name: str, error: FairleadError) -> Finding:
    return Finding(name=name, health=Health.FAILED, message=error.message, hint=error.hint)
