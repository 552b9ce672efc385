"""The files that a port's TLS is made of, and what is wrong with them."""

from __future__ import annotations

import os
import ssl
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fairlead.errors import Code, FairleadError
from fairlead.transport.tls.certificate import Certificate, shown_by

__all__ = ["Loaded", "TlsFiles"]

_OTHERS = 0o077
_OTHERS_BUT_ROOTS_GROUP = 0o037


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was read.

    Attributes:
        context: for new connections.
        certificate: what clients are shown.
    """

    context: ssl.SSLContext
    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Files in PEM.

    Attributes:
        certificate: of the server, followed by those that lead to one that clients trust.
        key: the private key of the first of them.
        client_ca: who signs the certificates that clients have to show; None when they show none.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def stamp(self) -> tuple[tuple[int, ...], ...]:
        """Changes when a file does; one that cannot be seen has an empty part."""
        return tuple(_stamp(path) for path in (self.certificate, self.key, self.client_ca) if path is not None)

    def load(self, protocol: str, *, now: Callable[[], float] = time.time) -> Loaded:
        """What the files are good for now.

        Args:
            protocol: what is spoken inside, by its name in ALPN: "h2" or "http/1.1".
            now: the second since 1970.

        Raises:
            FairleadError: FAILED_PRECONDITION for a file that cannot be read, a key that others may read, or a
                certificate whose time is over or not yet come; INVALID_ARGUMENT for what is no certificate, or no key
                of it.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols([protocol])
        self._load_own(context)
        certificate = _seen(context, self.certificate)
        _check_time(certificate, self.certificate, now())
        if self.client_ca is not None:
            _load_client_ca(context, self.client_ca)
        return Loaded(context=context, certificate=certificate)

    def _load_own(self, context: ssl.SSLContext) -> None:
        for path in (self.certificate, self.key):
            _check_readable(path)
        _check_mode(self.key)
        try:
            context.load_cert_chain(self.certificate, self.key, password="")  # else a terminal would be asked for one
        except (ssl.SSLError, ValueError) as error:
            raise FairleadError(
                Code.INVALID_ARGUMENT,
                f"{self.certificate} and {self.key} are no certificate and its private key: {error}",
                hint="both in PEM, the key without a password: openssl x509 -noout -text -in FILE shows a certificate",
            ) from error


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        seen = path.stat()
    except OSError:
        return ()
    return seen.st_mtime_ns, seen.st_size, seen.st_ino, seen.st_mode


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{path} cannot be read: {error.strerror}",
            hint="FAIRLEAD_TLS_CERTIFICATE, FAIRLEAD_TLS_KEY and FAIRLEAD_TLS_CLIENT_CA name the files",
        ) from error


def _check_mode(path: Path) -> None:
    """A key is its owner's alone; where that is root, as for what is mounted, a group may read it too."""
    seen = path.stat()
    mode = stat.S_IMODE(seen.st_mode)
    is_roots = seen.st_uid == 0 and os.geteuid() != 0
    if mode & (_OTHERS_BUT_ROOTS_GROUP if is_roots else _OTHERS):
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{path} has mode {mode:04o}: others than its owner may use the private key",
            hint=f"chmod 600 {path}; of a Secret that Kubernetes mounts, defaultMode: 0440",
        )


def _seen(context: ssl.SSLContext, path: Path) -> Certificate:
    try:
        return shown_by(context, path)
    except (ssl.SSLError, ValueError) as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"clients would not take the certificate in {path}: {error}",
            hint="it has to be one for servers (extendedKeyUsage = serverAuth)",
        ) from error


def _check_time(certificate: Certificate, path: Path, now: float) -> None:
    if now >= certificate.ends:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the certificate in {path} ended at {_date(certificate.ends)}",
            hint="renew it, and put the new one in its place",
        )
    if now < certificate.begins:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"the certificate in {path} begins at {_date(certificate.begins)} only",
            hint="see to the clock of this machine, or wait",
        )


def _load_client_ca(context: ssl.SSLContext, path: Path) -> None:
    _check_readable(path)
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{path} has no certificate of whoever signs those of clients: {error}",
            hint="FAIRLEAD_TLS_CLIENT_CA names a file in PEM",
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED


def _date(second: float) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M} UTC"
