"""Who may call which port, put together from the home, the environment, and who can reach it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping

from fairlead.access.doorkeeper import Doorkeeper
from fairlead.access.environment import environment_keys, token_secret
from fairlead.access.followed_keys import FollowedKeys
from fairlead.access.key import FixedKey
from fairlead.access.key_file import KeyFile
from fairlead.access.principal import Credentials
from fairlead.access.scope import Scope
from fairlead.app.tls import has_tls
from fairlead.config import Settings
from fairlead.errors import Code, FairleadError
from fairlead.metering.meter import Meter

__all__ = ["check_access", "open_doorkeeper", "open_management_doorkeeper"]

_ALL_BUT_ADMIN = frozenset(Scope) - {Scope.ADMIN}


def check_access(settings: Settings) -> None:
    """Refuse what cannot be opened before anything is.

    Raises:
        FairleadError: as `open_doorkeeper` and `open_management_doorkeeper`.
    """
    kinds = _kinds(settings, os.environ)
    _check_public(settings, kinds)
    _check_management(settings, kinds)


def open_doorkeeper(
    settings: Settings, console_key: str, environ: Mapping[str, str] = os.environ, meter: Meter | None = None
) -> Doorkeeper | None:
    """What judges credentials at the REST and gRPC ports; None when only this machine reaches them and no key is known.

    Args:
        settings: where the home is, who reaches the ports, and what is open to them.
        console_key: by which the server's own console is known; empty where there is none.
        environ: where `API_KEY`, `METRICS_KEY` and `JWT_SECRET_KEY` may be.
        meter: charges for requests; None where none come.

    Raises:
        FairleadError: when keys are meant to be there and cannot be read, or tokens and their library is not; when
            others reach the ports, and neither is a key known nor prediction open to all.
    """
    kinds = _kinds(settings, environ)
    _check_public(settings, kinds)
    return _doorkeeper(kinds, settings.host, console_key, _open_to(settings, kinds, "rest", "grpc"), meter)


def open_management_doorkeeper(
    settings: Settings, console_key: str, environ: Mapping[str, str] = os.environ
) -> Doorkeeper | None:
    """What judges credentials at the management port; None when only this machine reaches it and no key is known.

    Args:
        settings: as of `open_doorkeeper`.
        console_key: as there.
        environ: as there.

    Raises:
        FairleadError: as `open_doorkeeper`; nothing makes up for a key that is missing here.
    """
    kinds = _kinds(settings, environ)
    _check_management(settings, kinds)
    return _doorkeeper(kinds, settings.management_host, console_key, _open_to(settings, kinds, "management"))


def _check_public(settings: Settings, kinds: list[Credentials]) -> None:
    open_to = _open_to(settings, kinds, "rest", "grpc")
    if not kinds and not _is_loopback(settings.host) and Scope.PREDICT not in open_to:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"whoever reaches {settings.host or '::'} could predict: no key is known, and FAIRLEAD_OPEN lets nobody",
            hint=f"fairlead keys create NAME --home {settings.home}, or API_KEY in the environment; in a network that "
            "lets in only who may predict, FAIRLEAD_OPEN=predict",
        )


def _check_management(settings: Settings, kinds: list[Credentials]) -> None:
    if not kinds and not _is_loopback(settings.management_host) and not _asks_certificates(settings, "management"):
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"the management port is not opened at {settings.management_host or '::'}: no key is known to ask for",
            hint="METRICS_KEY in the environment is Prometheus' key (openssl rand -hex 32 makes one); or "
            f"fairlead keys create NAME --scope metrics --home {settings.home}; or --management-host 127.0.0.1",
        )


def _kinds(settings: Settings, environ: Mapping[str, str]) -> list[Credentials]:
    kinds: list[Credentials] = [*environment_keys(environ)]
    if (secret := token_secret(environ)) or settings.jwks_file or settings.jwks_url:
        kinds.append(_tokens(settings, secret))
    file = KeyFile(settings.keys_path)
    if file.stamp() is not None:
        kinds.append(FollowedKeys(file))
    return kinds


def _open_to(settings: Settings, kinds: list[Credentials], *ports: str) -> frozenset[Scope]:
    """What needs no credential: what was said, or all but administration where clients show certificates instead."""
    if not kinds and all(_asks_certificates(settings, port) for port in ports):
        return _ALL_BUT_ADMIN
    return frozenset(map(Scope, settings.open))


def _asks_certificates(settings: Settings, port: str) -> bool:
    return settings.tls_client_ca is not None and has_tls(settings, port)


def _doorkeeper(
    kinds: list[Credentials], host: str, console_key: str, open_to: frozenset[Scope], meter: Meter | None = None
) -> Doorkeeper | None:
    if not kinds and _is_loopback(host):
        return None
    own = [FixedKey("console", console_key, _ALL_BUT_ADMIN)] if console_key else []
    return Doorkeeper([*kinds, *own], open_to=open_to, meter=meter)


def _tokens(settings: Settings, secret: str) -> Credentials:
    if settings.jwks_file is not None and settings.jwks_url is not None:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            "FAIRLEAD_JWKS_FILE and FAIRLEAD_JWKS_URL both name keys of tokens",
            hint="unset one of them",
        )
    try:
        from fairlead.access.published_keys import PublishedKeys  # noqa: PLC0415 - an optional extra
        from fairlead.access.tokens import PublicKeys, Tokens, read_jwks  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"tokens are to be judged, and their library is not installed: {error}",
            hint="pip install 'fairlead[access]'",
        ) from error
    public_keys: PublicKeys | None = None
    if settings.jwks_url is not None:
        public_keys = PublishedKeys(settings.jwks_url, settings.home / "jwks.json", refresh_s=settings.jwks_refresh_s)
    elif settings.jwks_file is not None:
        public_keys = read_jwks(settings.jwks_file)
    return Tokens(
        secret, public_keys, audience=settings.jwt_audience, rate=settings.token_rate, quota=settings.token_quota
    )


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches it; of a name other than localhost nobody knows."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
