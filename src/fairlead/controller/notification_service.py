"""Where notifications can go: apprise's services by their addresses, e-mail by its variables, each without secrets."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

import apprise

from fairlead.config import read_secret
from fairlead.errors import Code, FairleadError

__all__ = ["Service", "mail_service", "service_at"]

_SMTPS_PORT = 465
_MAX_PORT = 65_535
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MIN_SECRET_CHARACTERS = 4
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_ASSET = {"app_id": "Fairlead", "app_desc": "Fairlead", "app_url": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One of apprise's services.

    Attributes:
        plugin: apprise's object, which sends.
        name: for people, without secrets.
        secrets: whatever of its address nobody may read, the longest first.
    """

    plugin: Any
    name: str
    secrets: tuple[str, ...]


def service_at(address: str) -> Service:
    """The service at an address of apprise's.

    Raises:
        FairleadError: INVALID_ARGUMENT when apprise knows none there; the address itself is not shown.
    """
    try:
        parts = urlsplit(address)
        # Of https addresses apprise knows some by their host, such as those that Slack shows.
        plugin = _plugin(address) or (_plugin(_webhook(parts)) if parts.scheme in ("http", "https") else None)
    except ValueError:  # a port that is none
        plugin = None
    if plugin is None:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"a notification address of the kind {parts.scheme[:20] or 'nothing'}:// cannot be used",
            hint="such as https://HOST/PATH, slack://TOKEN/TOKEN/TOKEN or mailto://USER:PASSWORD@HOST; see apprise",
        )
    return Service(plugin=plugin, name=_name(plugin), secrets=_secrets(parts))


def mail_service(environ: Mapping[str, str]) -> Service:
    """E-mail, as SENDER_EMAIL, SENDER_PASSWORD (or its file), RECIPIENT_EMAIL, SMTP_HOST and SMTP_PORT say.

    Raises:
        FairleadError: INVALID_ARGUMENT naming the variable that is missing or wrong.
    """
    sender, recipients = _variable(environ, "SENDER_EMAIL"), _variable(environ, "RECIPIENT_EMAIL")
    if not _ADDRESS.fullmatch(sender):
        raise FairleadError(Code.INVALID_ARGUMENT, f"SENDER_EMAIL is {sender!r}, which is no e-mail address")
    password = read_secret(environ, "SENDER_PASSWORD")
    plugin = _plugin(
        {
            "schema": "mailtos",
            "user": quote(sender, safe=""),  # apprise undoes the quoting, of parts as of whole addresses
            "password": quote(password, safe="") or None,
            "host": sender.rpartition("@")[2],
            "from_addr": f"Fairlead <{sender}>",
            "targets": recipients,
            **_mail_server(environ),
        }
    )
    wanted = [part for part in recipients.split(",") if part.strip()]
    if plugin is None or len(plugin.targets) != len(wanted):
        raise FairleadError(Code.INVALID_ARGUMENT, f"RECIPIENT_EMAIL is {recipients!r}: not all are e-mail addresses")
    return Service(plugin=plugin, name=f"e-mail to {recipients}", secrets=(password,) if password else ())


def _plugin(address: str | dict[str, Any]) -> Any:
    """Apprise's service for an address or its parts; None when it knows none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for modules that later Pythons lack: no user can act on that
        return apprise.Apprise.instantiate(address, asset=apprise.AppriseAsset(**_ASSET))


def _webhook(parts: SplitResult) -> dict[str, Any]:
    """What apprise's JSON service is made of; by its URL it would keep some of the query for itself."""
    return {
        "schema": "jsons" if parts.scheme == "https" else "json",
        "host": parts.hostname or "",
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "fullpath": quote(parts.path),
        "params": dict(parse_qsl(parts.query)),
        "secure": parts.scheme == "https",
    }


def _mail_server(environ: Mapping[str, str]) -> dict[str, Any]:
    """What SMTP_HOST and SMTP_PORT say; empty leaves both to the sender's domain."""
    host, text = environ.get("SMTP_HOST", ""), environ.get("SMTP_PORT", "")
    if text and not (text.isdecimal() and 1 <= int(text) <= _MAX_PORT):
        raise FairleadError(Code.INVALID_ARGUMENT, f"SMTP_PORT is {text!r}, not a port from 1 to {_MAX_PORT}")
    server: dict[str, Any] = {"smtp_host": host} if host else {}
    if text:
        server["port"] = int(text)
    if server.get("port") == _SMTPS_PORT:
        server["secure_mode"] = "ssl"
    elif host:
        server["secure_mode"] = "insecure" if host in _LOOPBACK else "starttls"
    return server


def _variable(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise FairleadError(
            Code.INVALID_ARGUMENT,
            f"{name} is not set, so that no e-mail can be written",
            hint="set SENDER_EMAIL, SENDER_PASSWORD and RECIPIENT_EMAIL, or none of them",
        )
    return value


def _name(plugin: Any) -> str:
    """The kind of service; its host only where that is no token."""
    service = str(plugin.service_name)
    return f"{service} at {plugin.host}" if service == "JSON" else service


def _secrets(parts: SplitResult) -> tuple[str, ...]:
    """Whatever in an address may be a token, the longest first."""
    found = [parts.password or "", parts.query, *parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))]
    if parts.scheme not in ("http", "https", "json", "jsons"):
        found += re.split("[:@]", parts.netloc)
    return tuple(sorted({text for text in found if len(text) >= _MIN_SECRET_CHARACTERS}, key=len, reverse=True))
