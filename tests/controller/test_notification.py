"""People are told what happened; a message that cannot be sent is reported and stops nothing."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from tests.cli.clients import quickest

from fairlead.controller.notification import Event, Notification, notification
from fairlead.controller.notifier import Notifier
from fairlead.errors import Code, FairleadError
from fairlead.telemetry.logs import configure_logging

from .mail_server import mail_server, make_certificate, silent_server, webhook

PASSWORD = "pa:ss/w@rd-%41"
TOLD = notification(
    Event.PROMOTED,
    model="digits",
    why="accuracy 0.98 against 0.97 on 400 labels",
    version=4,
    versions={"stable": 4, "before it": 3},
)


def environment(port: int, host: str = "127.0.0.1", **changes: str) -> dict[str, str]:
    """What a user exports, with a mail server on this machine."""
    return {
        "SENDER_EMAIL": "fairlead@corp.example",
        "SENDER_PASSWORD": PASSWORD,
        "RECIPIENT_EMAIL": "ops@corp.example",
        "SMTP_HOST": host,
        "SMTP_PORT": str(port),
        **changes,
    }


def test_an_e_mail_says_what_happened_and_what_to_do() -> None:
    """From the sender, logged in with the password, to the recipient: title, model, versions, why, next command."""
    with mail_server(password=PASSWORD) as server:
        delivered = Notifier.read(environment(server.port)).send(TOLD)

    (delivery,) = delivered
    assert (delivery.to, delivery.is_delivered, delivery.problem) == ("e-mail to ops@corp.example", True, "")
    assert server.logins == [("fairlead@corp.example", PASSWORD)]
    (message,) = server.messages
    assert message["From"] == "Fairlead <fairlead@corp.example>"
    assert message["To"] == "ops@corp.example"
    assert message["Subject"] == "digits: version 4 serves now"
    body = message.get_content().replace("\r\n", "\n")
    assert body.strip() == TOLD.body.strip()
    assert "versions:  stable 4, before it 3\nwhy:       accuracy 0.98 against 0.97 on 400 labels" in body
    assert body.index("fairlead rollback digits") < body.index("fairlead history digits")


def test_several_recipients_get_one_each() -> None:
    """Names by commas."""
    with mail_server(password=PASSWORD) as server:
        Notifier.read(environment(server.port, RECIPIENT_EMAIL="a@corp.example, b@corp.example")).send(TOLD)

    assert sorted(server.recipients) == [["a@corp.example"], ["b@corp.example"]]


def test_a_server_without_a_login_needs_no_password() -> None:
    """As a relay in one's own network."""
    with mail_server() as server:
        (delivery,) = Notifier.read(environment(server.port, SENDER_PASSWORD="")).send(TOLD)

    assert delivery.is_delivered
    assert server.logins == []


def test_another_machines_server_is_spoken_to_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password is said after STARTTLS and only where the certificate is good."""
    certificate = make_certificate(tmp_path / "mail.pem", "127.0.0.2")  # any address but this machine's own names
    with mail_server("127.0.0.2", password=PASSWORD, certificate=certificate) as server:
        (unknown,) = Notifier.read(environment(server.port, "127.0.0.2")).send(TOLD)
    assert not unknown.is_delivered
    assert server.logins == []

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server("127.0.0.2", password=PASSWORD, certificate=certificate) as server:
        (trusted,) = Notifier.read(environment(server.port, "127.0.0.2")).send(TOLD)

    assert trusted.is_delivered
    assert server.logins == [("fairlead@corp.example", PASSWORD)]


def test_a_server_of_another_machine_without_tls_gets_no_password() -> None:
    """It is not said in the clear."""
    with mail_server("127.0.0.2", password=PASSWORD) as server:
        (delivery,) = Notifier.read(environment(server.port, "127.0.0.2")).send(TOLD)

    assert not delivery.is_delivered
    assert server.logins == []


@pytest.mark.parametrize(
    ("sender", "extra", "server"),
    [
        ("me@gmail.com", {}, ("smtp.gmail.com", 587, "starttls")),
        ("me@corp.example", {}, ("corp.example", 587, "starttls")),
        ("me@corp.example", {"SMTP_HOST": "mail.corp.example"}, ("mail.corp.example", 587, "starttls")),
        ("me@corp.example", {"SMTP_HOST": "mail.corp.example", "SMTP_PORT": "465"}, ("mail.corp.example", 465, "ssl")),
        ("me@corp.example", {"SMTP_PORT": "465"}, ("corp.example", 465, "ssl")),
    ],
)
def test_the_mail_server_follows_from_the_senders_domain(
    sender: str, extra: dict[str, str], server: tuple[str, int, str]
) -> None:
    """Unless the environment names another, and always over TLS."""
    environ = {"SENDER_EMAIL": sender, "SENDER_PASSWORD": "x", "RECIPIENT_EMAIL": "ops@corp.example", **extra}

    plugin = Notifier.read(environ)._services[0].plugin

    assert (plugin.smtp_host, plugin.port, plugin.secure_mode) == server
    assert plugin.user == sender


@pytest.mark.parametrize("scheme", ["http", "json"])
def test_a_webhook_gets_json(scheme: str) -> None:
    """The title, the text and how grave it is."""
    with webhook() as hook:
        (delivery,) = Notifier([f"{scheme}://127.0.0.1:{hook.port}/hook/a-token"]).send(TOLD)

    assert delivery.is_delivered
    assert delivery.to == "JSON at 127.0.0.1"
    ((path, body),) = hook.requests
    assert path == "/hook/a-token"
    assert (body["title"], body["message"].strip(), body["type"]) == (TOLD.title, TOLD.body.strip(), "success")


def test_a_webhooks_query_arrives() -> None:
    """A token in it too."""
    with webhook() as hook:
        Notifier([f"http://127.0.0.1:{hook.port}/hook?token=abc&format=html"]).send(TOLD)

    assert hook.requests[0][0] == "/hook?token=abc&format=html"


def test_slack_is_known_by_both_its_addresses() -> None:
    """That of apprise, and the one that Slack shows."""
    tokens = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"

    assert Notifier([f"slack://{tokens}/#ops", f"https://hooks.slack.com/services/{tokens}"]).addresses == (
        "Slack",
        "Slack",
    )


def test_a_webhook_that_refuses_is_reported() -> None:
    """With its status, and the others are told all the same."""
    with webhook() as hook, webhook() as other:
        hook.status = 500
        refused, taken = Notifier([f"http://127.0.0.1:{hook.port}/a-token", f"http://127.0.0.1:{other.port}"]).send(
            TOLD
        )

    assert not refused.is_delivered
    assert "500" in refused.problem
    assert taken.is_delivered


@pytest.fixture
def log() -> Iterator[StringIO]:
    """The log of the process, as Fairlead sets it up."""
    root = logging.getLogger()
    before, level, stream = root.handlers[:], root.level, StringIO()
    hooks = sys.excepthook, threading.excepthook
    configure_logging(stream, "text")
    logging.getLogger("apprise").setLevel(logging.DEBUG)
    yield stream
    logging.getLogger("apprise").setLevel(logging.NOTSET)
    sys.excepthook, threading.excepthook = hooks
    root.handlers[:] = before
    root.setLevel(level)


def test_a_wrong_password_is_reported_and_not_shown(log: StringIO) -> None:
    """Neither it nor the right one, in the report or in the log."""
    with mail_server(password="another") as server:
        notifier = Notifier.read(environment(server.port))
        (delivery,) = notifier.send(TOLD)

    assert not delivery.is_delivered
    assert "127.0.0.1" in delivery.problem
    assert server.messages == []
    for text in (repr(delivery), repr(notifier.addresses), log.getvalue()):
        assert PASSWORD not in text


def test_tokens_of_addresses_are_not_shown(log: StringIO) -> None:
    """A path, a query, a user and a password, whatever goes wrong."""
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    secrets = ("path-token", "query-token", "auth-token")
    notifier = Notifier([f"http://user:auth-token@127.0.0.1:{port}/path-token?key=query-token"], timeout_s=10)

    (delivery,) = notifier.send(TOLD)
    with pytest.raises(FairleadError) as caught:
        Notifier(["nonsense://user:auth-token@host/path-token?key=query-token"])

    assert not delivery.is_delivered
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "nonsense://" in caught.value.message
    for text in (repr(delivery), repr(notifier.addresses), str(caught.value), log.getvalue()):
        assert [secret for secret in secrets if secret in text] == []


def test_a_server_that_says_nothing_costs_the_time_it_was_given() -> None:
    """Mail and webhook at once, and not one after the other."""
    with silent_server() as port:
        notifier = Notifier.read(environment(port), [f"http://127.0.0.1:{port}/x"], timeout_s=0.5)

        def sent_s() -> float:
            began = time.monotonic()
            deliveries = notifier.send(TOLD)
            assert [delivery.problem for delivery in deliveries] == ["it took longer than 0.5 s"] * 2
            return time.monotonic() - began

        assert 0.5 <= quickest(sent_s, 0.95) < 0.95


def test_a_server_that_says_nothing_does_not_hold_up_the_end_of_the_process() -> None:
    """Whoever is still being told when the controller ends is told no more."""
    script = (
        "import sys; from fairlead.controller.notification import *; from fairlead.controller.notifier import *\n"
        "told = notification(Event.FAILED, model='m', why='w')\n"
        "print(Notifier([sys.argv[1]], timeout_s=0.2).send(told)[0].is_delivered)"
    )
    with silent_server() as port:
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", script, f"mailto://u:p@127.0.0.1:{port}?from=a@b.example&to=c@d.example"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert (done.returncode, done.stdout.strip()) == (0, "False"), done.stderr
    assert time.monotonic() - began < 14  # the server would have been waited for 15 s


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"SENDER_EMAIL": ""}, "SENDER_EMAIL is not set"),
        ({"RECIPIENT_EMAIL": " "}, "RECIPIENT_EMAIL is not set"),
        ({"SENDER_EMAIL": "nobody"}, "SENDER_EMAIL is 'nobody'"),
        ({"RECIPIENT_EMAIL": "ops@corp.example, nobody"}, "RECIPIENT_EMAIL is 'ops@corp.example, nobody'"),
        ({"SMTP_PORT": "mail"}, "SMTP_PORT is 'mail'"),
        ({"SMTP_PORT": "70000"}, "SMTP_PORT is '70000'"),
    ],
)
def test_a_variable_that_is_wrong_is_named(changes: dict[str, str], named: str) -> None:
    """Before anything happens that people should be told of."""
    with pytest.raises(FairleadError) as caught:
        Notifier.read(environment(25, **changes))

    assert caught.value.code is Code.INVALID_ARGUMENT
    assert named in caught.value.message
    assert PASSWORD not in str(caught.value)


def test_nobody_is_told_where_nobody_is_named() -> None:
    """An empty environment sends nothing, and says so."""
    notifier = Notifier.read({})

    assert notifier.addresses == ()
    assert notifier.send(TOLD) == ()


@pytest.mark.parametrize("event", Event)
def test_each_event_names_its_next_command(event: Event) -> None:
    """And its model, and a severity that services know."""
    told = notification(event, model="digits", why="because", version=4)

    assert isinstance(told, Notification)
    assert "digits" in told.title
    assert "  " not in told.title
    assert told.severity in {"info", "success", "warning", "failure"}
    assert told.commands
    assert all(command.startswith("fairlead ") and command.endswith(" digits") for command in told.commands)


@pytest.mark.parametrize("event", [Event.PROMOTED, Event.DEGRADED])
def test_where_the_serving_version_may_be_at_fault_rollback_comes_first(event: Event) -> None:
    """The first command takes it away."""
    assert notification(event, model="digits", why="", version=4).commands[0] == "fairlead rollback digits"
