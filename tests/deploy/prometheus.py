"""Prometheus, Alertmanager and whom they tell, set up by `deploy/prometheus`: only addresses and pauses differ."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import yaml
from tests.cli.clients import wait_until
from tests.cli.prometheus import program

from benchmarks.harness.process import free_port

from .rule_files import PROMETHEUS, load

_EVERY = "1s"


class Program:
    """A server that runs in its own directory, and says at `/-/ready` that it is ready."""

    def __init__(self, directory: Path, name: str, *flags: str) -> None:
        self.port = free_port()
        self._log = directory / f"{name}.log"
        command = [program(name), *flags, f"--web.listen-address=127.0.0.1:{self.port}"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)

    def wait_ready(self) -> None:
        """Return when it is."""
        wait_until(self._is_ready)

    def ask(self, path: str) -> Any:
        """What it answers, decoded."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
        assert response.status == http.HTTPStatus.OK, text
        return json.loads(text) if text.startswith(("{", "[")) else text

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            self.ask("/-/ready")
        except (OSError, AssertionError):
            return False
        return True


class Prometheus(Program):
    """Prometheus with the rules of `deploy/prometheus`, evaluated every second.

    Args:
        directory: where its files go.
        targets: the address of each job's target; of `alertmanager` and `blackbox` too, where they run.
        pauses: of alerts, by name, how long each condition must hold.
    """

    def __init__(self, directory: Path, targets: Mapping[str, str], pauses: Mapping[str, str] | None = None) -> None:
        _write_rules(directory / "rules", pauses or {})
        (directory / "certificates.yml").write_text(yaml.safe_dump([{"targets": _of(targets, "certificates")}]))
        (directory / "prometheus.yml").write_text(yaml.safe_dump(_configuration(targets)))
        super().__init__(
            directory,
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--rules.alert.resend-delay={_EVERY}",
            "--log.level=warn",
        )
        self.wait_ready()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now, with their values."""
        answer = self.ask(f"/api/v1/query?query={urllib.parse.quote(expression)}")
        return list(answer["data"]["result"])

    def wait_for(self, expression: str) -> None:
        """Return when it gives something."""
        wait_until(lambda: bool(self.query(expression)))

    def rules(self) -> list[dict[str, Any]]:
        """Each with its health and when it was evaluated."""
        return [rule for group in self.ask("/api/v1/rules")["data"]["groups"] for rule in group["rules"]]


class Alertmanager(Program):
    """Alertmanager as it is configured, whose receivers are at `receiver`."""

    def __init__(self, directory: Path, receiver: int) -> None:
        text = (PROMETHEUS / "alertmanager.yml").read_text()
        text = text.replace("/etc/alertmanager/", f"{PROMETHEUS}/").replace("/run/secrets/", f"{directory}/")
        (directory / "alertmanager.yml").write_text(text.replace("group_interval: 1m", f"group_interval: {_EVERY}"))
        for name in ("page", "ticket", "heartbeat"):
            (directory / f"{name}_url").write_text(f"http://127.0.0.1:{receiver}/{name}")
        super().__init__(
            directory,
            "prometheus-alertmanager",
            "--config.file=alertmanager.yml",
            "--storage.path=silences",
            "--cluster.listen-address=",
            "--log.level=warn",
        )
        self.wait_ready()


@dataclass(kw_only=True)
class Receiver:
    """A chat that messages are posted to.

    Attributes:
        port: where it listens.
        messages: what came, by the path that it came to.
    """

    port: int = 0
    messages: dict[str, list[str]] = field(default_factory=dict)

    def has(self, path: str, *words: str) -> bool:
        """Whether some message to `path` has all of these words."""
        return any(all(word in message for word in words) for message in self.messages.get(path, []))


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for as long as a caller likes."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.messages.setdefault(self.path, []).append(json.dumps(json.loads(body), ensure_ascii=False))
            self.send_response(http.HTTPStatus.OK)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def freeze(running: Program) -> None:
    """It runs no more, and its connections stay open."""
    running.process.send_signal(signal.SIGSTOP)


def _of(targets: Mapping[str, str], name: str) -> list[str]:
    return [targets[name]] if name in targets else []


def _configuration(targets: Mapping[str, str]) -> Any:
    """`prometheus.yml` with other addresses, scraping every second."""
    found = load(PROMETHEUS / "prometheus.yml")
    found["global"] = {"scrape_interval": _EVERY, "evaluation_interval": _EVERY}
    for manager in found["alerting"]["alertmanagers"]:
        manager["static_configs"] = [{"targets": _of(targets, "alertmanager")}]
    for job in found["scrape_configs"]:
        job.pop("scrape_interval", None)
        job.pop("authorization", None)  # the servers here are this machine's own
        if "static_configs" in job:
            job["static_configs"] = [{"targets": _of(targets, job["job_name"])}]
        for change in job.get("relabel_configs", []):
            if "replacement" in change:
                change["replacement"] = targets.get("blackbox", "")
    return found


def _write_rules(directory: Path, pauses: Mapping[str, str]) -> None:
    """The rules, each group evaluated every second."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for path in sorted((PROMETHEUS / "rules").glob("*.yml")):
        groups = load(path)
        for group in groups["groups"]:
            group["interval"] = _EVERY
            for rule in group["rules"]:
                if rule.get("alert") in pauses:
                    rule["for"] = pauses[rule["alert"]]
        (directory / path.name).write_text(yaml.safe_dump(groups))
