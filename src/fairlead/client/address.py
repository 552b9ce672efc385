"""Where a server is, and what a client shows it."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fairlead.errors import Code, FairleadError

__all__ = ["Address", "read_address"]

_PORTS = {"http": 80, "https": 443, "grpc": 0, "grpcs": 0}
"""By the schemes that there are; 0 where a URL has to have one."""

_CREDENTIAL = re.compile(r"[!-~]+")

Credential = str | Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server's address, and who asks.

    Attributes:
        prefix: the path under which a proxy has the server; empty for none.
        is_grpc, is_encrypted: what is spoken there.
        api_key, token: what is shown; a token may be asked for anew before each call.
        ca_file, certificate_file, key_file: in PEM, for TLS.
    """

    host: str
    port: int
    prefix: str
    is_grpc: bool
    is_encrypted: bool
    api_key: str | None = field(default=None, repr=False)
    token: Credential | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def __str__(self) -> str:
        scheme = ("grpc" if self.is_grpc else "http") + "s" * self.is_encrypted
        return f"{scheme}://{self.authority}{self.prefix}"

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def credentials(self) -> list[tuple[str, str]]:
        """The headers that show them.

        Raises:
            FairleadError: INVALID_ARGUMENT for what cannot be in a header.
        """
        if self.api_key is not None:
            return [("x-api-key", _checked(self.api_key, "api_key"))]
        if self.token is None:
            return []
        token = self.token if isinstance(self.token, str) else self.token()
        return [("authorization", f"Bearer {_checked(token, 'token')}")]

    def tls(self) -> ssl.SSLContext | None:
        """How connections are encrypted; None for not at all.

        Raises:
            FairleadError: INVALID_ARGUMENT for files that are none of that kind.
        """
        if not self.is_encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except OSError as error:
            raise _unusable(error) from error
        context.set_alpn_protocols(["http/1.1"])
        return context

    def pem(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """What is in the files: of the authority, the key, the certificate."""
        try:
            authority, key, certificate = (
                None if path is None else path.read_bytes()
                for path in (self.ca_file, self.key_file, self.certificate_file)
            )
        except OSError as error:
            raise _unusable(error) from error
        return authority, key, certificate


def read_address(
    url: str,
    *,
    api_key: str | None,
    token: Credential | None,
    ca_file: str | Path | None,
    certificate_file: str | Path | None,
    key_file: str | Path | None,
) -> Address:
    """What `url` says, with the rest.

    Raises:
        FairleadError: INVALID_ARGUMENT when they make no address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise _invalid(f"{url[:200]!r} is no URL: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise _invalid("the URL has a name or a password in it", hint="give api_key= or token=")
    if parts.scheme not in _PORTS or not parts.hostname or not port or parts.query or parts.fragment:
        raise _invalid(f"{url[:200]!r} is no address of a server", hint="http://HOST:8501 or grpc://HOST:8500")
    is_grpc, is_encrypted = parts.scheme.startswith("grpc"), parts.scheme.endswith("s")
    prefix = parts.path.rstrip("/")
    if is_grpc and prefix:
        raise _invalid(f"{url[:200]!r} has a path, and gRPC knows none", hint=f"{parts.scheme}://{parts.netloc}")
    if api_key is not None and token is not None:
        raise _invalid("api_key and token are both given", hint="leave one of them out")
    if not is_encrypted and any((ca_file, certificate_file, key_file)):
        raise _invalid(f"{url[:200]!r} is not encrypted, and files for TLS are given", hint="https:// or grpcs://")
    return Address(
        host=parts.hostname,
        port=port,
        prefix=prefix,
        is_grpc=is_grpc,
        is_encrypted=is_encrypted,
        api_key=api_key,
        token=token,
        ca_file=Path(ca_file) if ca_file else None,
        certificate_file=Path(certificate_file) if certificate_file else None,
        key_file=Path(key_file) if key_file else None,
    )


def _checked(credential: str, name: str) -> str:
    if not _CREDENTIAL.fullmatch(credential):  # which is not shown: it might be a good one with a newline behind it
        raise _invalid(f"{name} has characters that no credential has", hint="is there a space or a newline in it?")
    return credential


def _unusable(error: OSError) -> FairleadError:
    return _invalid(f"a file for TLS cannot be used: {error}", hint="they are PEM: a certificate, or its private key")


def _invalid(message: str, *, hint: str = "") -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, message, hint=hint)
