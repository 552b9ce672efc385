"""Tells people what happened: by e-mail, Slack, a webhook or whatever else apprise knows a URL for."""

from __future__ import annotations

import enum
import logging
import re
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

import apprise

from fairlead.errors import Code, FairleadError

__all__ = ["Delivery", "Event", "Notification", "Notifier", "notification"]

_TIMEOUT_S = 20.0
_SMTPS_PORT = 465
_MAX_PORT = 65_535
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_MIN_SECRET_CHARACTERS = 4
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_LOGGER = "apprise"
_ASSET = {"app_id": "Fairlead", "app_desc": "Fairlead", "app_url": ""}


class Event(enum.Enum):
    """What people are told of: the sentence, how grave it is, and the commands to try, the first one first."""

    PROMOTED = ("{model}: version {version} serves now", "success", ("rollback", "history"))
    ROLLED_BACK = ("{model}: version {version} was rolled back", "warning", ("history", "versions"))
    STARTED = ("{model}: version {version} is being tried", "info", ("rollout status", "rollout abort"))
    HELD = ("{model}: the trial of version {version} waits", "warning", ("rollout status", "rollout abort"))
    REFUSED = ("{model}: a retrained model was refused", "warning", ("history",))
    FAILED = ("{model}: a retraining failed", "failure", ("history", "retrain"))
    DEGRADED = ("{model}: version {version} has become worse", "failure", ("rollback", "quality", "retrain"))
    DRIFTED = ("{model}: what version {version} is asked has changed", "warning", ("quality", "retrain"))
    BACKUP_FAILED = ("{model}: a backup failed", "failure", ("history",))

    def __init__(self, sentence: str, severity: str, verbs: tuple[str, ...]) -> None:
        self.sentence = sentence
        self.severity = severity
        self.verbs = verbs


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What people are told.

    Attributes:
        title: one line.
        severity: info, success, warning or failure.
        model: of which model.
        versions: by what they are, such as stable and candidate; those that matter.
        why: the reason, in a sentence.
        commands: what to try next, the first one first.
    """

    title: str
    severity: str
    model: str
    versions: Mapping[str, int]
    why: str
    commands: tuple[str, ...]

    @property
    def body(self) -> str:
        """The text under the title."""
        versions = ", ".join(f"{what} {version}" for what, version in self.versions.items()) or "none"
        lines = [self.title, "", f"model:     {self.model}", f"versions:  {versions}", f"why:       {self.why}", ""]
        lines += [f"{'next:' if place == 0 else '':<10} {command}" for place, command in enumerate(self.commands)]
        return "\n".join(lines) + "\n"


def notification(
    event: Event, *, model: str, why: str, version: int | None = None, versions: Mapping[str, int] | None = None
) -> Notification:
    """What to tell of an event.

    Args:
        event: what happened.
        model: of which model.
        why: the reason, in a sentence.
        version: the one that it happened to; None where there is none.
        versions: those that matter, by what they are.

    >>> told = notification(Event.PROMOTED, model="digits", why="better on 400 labels", version=4,
    ...                     versions={"stable": 4, "before it": 3})
    >>> print(told.body, end="")
    digits: version 4 serves now
    <BLANKLINE>
    model:     digits
    versions:  stable 4, before it 3
    why:       better on 400 labels
    <BLANKLINE>
    next:      fairlead rollback digits
               fairlead history digits
    """
    return Notification(
        title=event.sentence.format(model=model, version="" if version is None else version),
        severity=event.severity,
        model=model,
        versions=dict(versions or {}),
        why=why,
        commands=tuple(f"fairlead {verb} {model}" for verb in event.verbs),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Whether one of the addresses took a notification.

    Attributes:
        to: the address, without its secrets.
        is_delivered: whether it was taken.
        problem: why it was not; empty when it was.
    """

    to: str
    is_delivered: bool
    problem: str = ""


class Notifier:
    """Sends notifications to addresses. Sending never raises and never takes longer than it was given.

    Args:
        addresses: apprise URLs; `http://` and `https://` ones are webhooks that get JSON.
        timeout_s: how long a notification may take on its way to all of them.

    Raises:
        FairleadError: INVALID_ARGUMENT for an address that apprise does not know, without its secrets.
    """

    def __init__(self, addresses: Sequence[str], *, timeout_s: float = _TIMEOUT_S) -> None:
        _keep_apprise_quiet()
        self._services = [_service(address) for address in addresses]
        self._timeout_s = timeout_s

    @staticmethod
    def read(environ: Mapping[str, str], addresses: Sequence[str] = (), *, timeout_s: float = _TIMEOUT_S) -> Notifier:
        """One that also writes e-mails, as SENDER_EMAIL, SENDER_PASSWORD and RECIPIENT_EMAIL say.

        The mail server is that of the sender's domain; SMTP_HOST and SMTP_PORT name another. It is spoken to over TLS,
        from the first byte at port 465 and after STARTTLS elsewhere; only a server on this machine may do without.

        Raises:
            FairleadError: INVALID_ARGUMENT naming the variable that is missing or wrong.
        """
        notifier = Notifier(addresses, timeout_s=timeout_s)
        if any(environ.get(name) for name in ("SENDER_EMAIL", "SENDER_PASSWORD", "RECIPIENT_EMAIL")):
            notifier._services.append(_mail(environ))
        return notifier

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where notifications go, without secrets; none when nobody is told."""
        return tuple(service.name for service in self._services)

    def send(self, told: Notification) -> tuple[Delivery, ...]:
        """Send to every address at once, and say what became of each. Never raises."""
        sendings = [_Sending(service, told) for service in self._services]
        for sending in sendings:
            sending.start()
        deadline = time.monotonic() + self._timeout_s
        for sending in sendings:
            sending.join(max(0.0, deadline - time.monotonic()))
        return tuple(sending.delivery(self._timeout_s) for sending in sendings)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """One of apprise's services, and what of its address nobody may read."""

    plugin: Any
    name: str
    secrets: tuple[str, ...]


class _Sending(threading.Thread):
    """One notification on its way to one service: a daemon, so that a server that hangs holds up no exit."""

    def __init__(self, service: _Service, told: Notification) -> None:
        super().__init__(name=f"notification to {service.name}", daemon=True)
        self._service = service
        self._told = told
        self._delivery: Delivery | None = None

    def run(self) -> None:
        with _complaints() as complaints:
            try:
                is_delivered = self._service.plugin.notify(
                    body=self._told.body, title=self._told.title, notify_type=self._told.severity, body_format="text"
                )
            except Exception as error:  # noqa: BLE001 - whatever a service raises, the step that is told of goes on
                is_delivered = False
                complaints.append(type(error).__name__)
        problem = "" if is_delivered else self._without_secrets("; ".join(complaints)) or "it was not taken"
        self._delivery = Delivery(to=self._service.name, is_delivered=bool(is_delivered), problem=problem)

    def delivery(self, timeout_s: float) -> Delivery:
        """What became of it so far."""
        late = Delivery(to=self._service.name, is_delivered=False, problem=f"it took longer than {timeout_s:g} s")
        return self._delivery or late

    def _without_secrets(self, text: str) -> str:
        for secret in self._service.secrets:
            text = text.replace(secret, "****")
        return text


class _Complaints(logging.Handler):
    """Keeps what apprise warns of in one thread; its debugging lines, which hold addresses, are not kept."""

    def __init__(self, thread: int) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        self._thread = thread

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.texts.append(record.getMessage())


@contextmanager
def _complaints() -> Iterator[list[str]]:
    handler = _Complaints(threading.get_ident())
    logger = logging.getLogger(_LOGGER)
    logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)


def _keep_apprise_quiet() -> None:
    """Whoever sends is told what became of it; apprise's own lines, some with whole addresses, go nowhere."""
    logger = logging.getLogger(_LOGGER)
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _plugin(address: str | dict[str, Any]) -> Any:
    """Apprise's service for an address or its parts; None when it knows none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for modules that later Pythons lack: no user can act on that
        return apprise.Apprise.instantiate(address, asset=apprise.AppriseAsset(**_ASSET))


def _service(address: str) -> _Service:
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
    return _Service(plugin=plugin, name=_name(plugin), secrets=_secrets(parts))


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


def _mail(environ: Mapping[str, str]) -> _Service:
    sender, recipients = _variable(environ, "SENDER_EMAIL"), _variable(environ, "RECIPIENT_EMAIL")
    if not _ADDRESS.fullmatch(sender):
        raise FairleadError(Code.INVALID_ARGUMENT, f"SENDER_EMAIL is {sender!r}, which is no e-mail address")
    plugin = _plugin(
        {
            "schema": "mailtos",
            "user": quote(sender, safe=""),  # apprise undoes the quoting, of parts as of whole addresses
            "password": quote(environ.get("SENDER_PASSWORD", ""), safe="") or None,
            "host": sender.rpartition("@")[2],
            "from_addr": f"Fairlead <{sender}>",
            "targets": recipients,
            **_mail_server(environ),
        }
    )
    wanted = [part for part in recipients.split(",") if part.strip()]
    if plugin is None or len(plugin.targets) != len(wanted):
        raise FairleadError(Code.INVALID_ARGUMENT, f"RECIPIENT_EMAIL is {recipients!r}: not all are e-mail addresses")
    secrets = (environ.get("SENDER_PASSWORD", ""),)
    return _Service(plugin=plugin, name=f"e-mail to {recipients}", secrets=tuple(filter(None, secrets)))


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
