"""Sends notifications to all who are to be told, and says what became of each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fairlead.controller.notification import Notification
from fairlead.controller.notification_service import Service, mail_service, service_at

__all__ = ["Delivery", "Notifier"]

_TIMEOUT_S = 20.0
_LOGGER = "apprise"


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
        self._services = [service_at(address) for address in addresses]
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
        if any(
            environ.get(name) for name in ("SENDER_EMAIL", "SENDER_PASSWORD", "SENDER_PASSWORD_FILE", "RECIPIENT_EMAIL")
        ):
            notifier._services.append(mail_service(environ))
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


class _Sending(threading.Thread):
    """One notification on its way to one service: a daemon, so that a server that hangs holds up no exit."""

    def __init__(self, service: Service, told: Notification) -> None:
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
