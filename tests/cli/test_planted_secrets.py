"""What the environment and files keep secret is nowhere else, whatever goes wrong and whoever asks."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

import psutil
import pytest
import requests
from tests.certificates import Authority

from fairlead.app.user import user_name
from fairlead.cli.main import main
from fairlead.console.users import FIRST_PASSWORD
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import wait_until
from .conftest import Server, ports_of

PLANTS = {
    "API_KEY": "plant-api-5f0c2a7d9b",
    "METRICS_KEY": "plant-metrics-77aa1c",
    "JWT_SECRET_KEY": "plant-jwt-2d1f6e5b4a3c29181716151413121110",
    "FAIRLEAD_DATABASE_URL": "plant-db-Zk3!x9Qw",
    "MLFLOW_TRACKING_URI": "plant-mlflow-81Hq",
    "FAIRLEAD_NOTIFY": "plant-notify-Vb20",
    "FAIRLEAD_REDIS_URL": "plant-redis-6tYu",
    "SENDER_PASSWORD": "plant-mail-0pLm",
}
"""Each occurs in the variable of its name, or in the file that the variable names, and nowhere else."""
_SHAPES = {
    "FAIRLEAD_DATABASE_URL": "postgresql+psycopg://fairlead:{}@127.0.0.1:1/fairlead",
    "MLFLOW_TRACKING_URI": "http://ann:{}@127.0.0.1:1",
    "FAIRLEAD_REDIS_URL": "redis://:{}@127.0.0.1:1/0",
    "FAIRLEAD_NOTIFY": "json://ann:{}@127.0.0.1:1/told",
}
_BY_FILE = ("JWT_SECRET_KEY", "METRICS_KEY", "MLFLOW_TRACKING_URI")
_MOST_PAGES = 60


def hits(told: Mapping[str, bytes], plants: Mapping[str, str]) -> list[str]:
    """Each plant that is in a text, as it is, as a URL has it, or as a header has it in base 64."""
    found = []
    for where, text in told.items():
        for name, plant in plants.items():
            forms = {plant.encode(), quote(plant, safe="").encode(), b64encode(plant.encode()).rstrip(b"=")[:-1]}
            forms |= {b64encode(f"{user}:{plant}".encode()).rstrip(b"=")[:-1] for user in ("ann", "fairlead")}
            found += [f"{name} in {where}" for form in forms if form in text]
    return found


def files(root: Path, but: Path) -> dict[str, bytes]:
    """Every file below, but for those of the secrets; what is compressed is read as well."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and but not in path.parents:
            data = path.read_bytes()
            found[str(path)] = data + (gzip.decompress(data) if path.suffix == ".gz" else b"")
    return found


def command_lines() -> dict[str, bytes]:
    """Of every process that there is."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[str(path)] = path.read_bytes()
        except OSError:
            continue
    return found


@pytest.fixture
def plants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """All of them where they belong, and a line of the private key of the gRPC port."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name, plant in PLANTS.items():
        value = _SHAPES.get(name, "{}").format(plant)
        if name in _BY_FILE:
            (secrets / name).write_text(f"{value}\n")
            monkeypatch.setenv(f"{name}_FILE", str(secrets / name))
        else:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("SENDER_EMAIL", "ops@example.com")
    monkeypatch.setenv("RECIPIENT_EMAIL", "ann@example.com")
    monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
    monkeypatch.setenv("SMTP_PORT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    pair = Authority(secrets).issue("server")
    monkeypatch.setenv("FAIRLEAD_TLS_CERTIFICATE", str(pair.certificate))
    monkeypatch.setenv("FAIRLEAD_TLS_KEY", str(pair.key))
    monkeypatch.setenv("FAIRLEAD_TLS_PORTS", "grpc")
    return {**PLANTS, "private key": pair.key.read_text().splitlines()[1]}


@pytest.fixture
def server(plants: dict[str, str], store: WritableStore, tmp_path: Path) -> Iterator[Server]:
    """All that `fairlead up` starts: workers, a recorder and a controller without their database, a console."""
    assert plants
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    log = tmp_path / "up.log"
    command = [sys.executable, "-m", "fairlead.cli.main", "up", "digits", "--store", str(store.root)]
    command += ["--home", str(tmp_path / "home"), "--workers", "1", "--console", "on", "--payload-log", "on"]
    command += ["--prediction-log", "on", "--rest-port", "0", "--grpc-port", "0", "--management-port", "0"]
    with log.open("wb") as writer:
        process = subprocess.Popen(command, stderr=writer, stdout=writer)
    try:
        port, grpc_port, management_port = ports_of(process, log)
        running = Server(process=process, port=port, grpc_port=grpc_port, log=log, management_port=management_port)
        running.wait_ready()
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(40)


def answers(server: Server) -> dict[str, bytes]:
    """What the ports say to those who are let in, and to those who are not."""
    rest, management = (f"http://127.0.0.1:{port}" for port in (server.port, server.management_port))
    shown: list[dict[str, str]] = [{}, {"x-api-key": "wrong"}, {"authorization": "Bearer a.b.c"}]
    shown += [{"x-api-key": PLANTS["API_KEY"]}, {"authorization": f"Bearer {PLANTS['METRICS_KEY']}"}]
    paths = ["/metrics", "/models", "/predict", "/feedback", "/v1/models/digits", "/v2", "/openapi.json", "/nowhere"]
    found = {}
    for number, headers in enumerate(shown):
        for path in paths:
            for method in ("GET", "POST"):
                body = b'{"rows": "none"}' if method == "POST" else None
                answer = requests.request(method, rest + path, data=body, headers=headers, timeout=30)
                found[f"{method} {path} {number}"] = f"{answer.headers}".encode() + answer.content
        for path in ("/metrics", "/workers", "/quality/digits", "/health", "/nowhere"):
            answer = requests.get(management + path, headers=headers, timeout=30)
            found[f"management {path} {number}"] = f"{answer.headers}".encode() + answer.content
    return found


def console_pages(server: Server, home: Path) -> dict[str, bytes]:
    """Every page of the console that a page leads to."""
    root = f"http://127.0.0.1:{server.management_port}"
    wait_until(lambda: requests.get(f"{root}/console/login", timeout=30).status_code == 200)
    with requests.Session() as session:
        password = (home / "console" / FIRST_PASSWORD).read_text().strip()
        form = urlencode({"name": user_name(), "password": password})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert session.post(f"{root}/console/login", form, headers=headers, timeout=30).url.endswith("/console/")
        found: dict[str, bytes] = {}
        to_see = ["/console/"]
        while to_see and len(found) < _MOST_PAGES:
            path = to_see.pop()
            if f"console {path}" in found:
                continue
            answer = session.get(root + path, timeout=30)
            found[f"console {path}"] = f"{answer.headers}".encode() + answer.content
            links = re.findall(r'(?:href|src|action)="(/console/[^"#]*)"', answer.text)
            to_see += [link for link in links if f"console {link}" not in found and "logout" not in link]
    return found


def commands(store: Path, home: Path) -> dict[str, bytes]:
    """What commands say in the same environment, most of which fail for want of a database."""
    place = ["--home", str(home), "--store", str(store)]
    found = {}
    for words in (
        ["doctor", *place],
        ["doctor", "--json", *place],
        ["keys", "list", "--home", str(home)],
        ["history", "digits", *place],
        ["quality", "digits", *place],
        ["versions", "digits", "--store", str(store)],
        ["backup", *place],
        ["controller", "digits", "--once", *place],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "fairlead.cli.main", *words], capture_output=True, timeout=120, check=False
        )
        assert done.stdout + done.stderr
        found[" ".join(words[:2])] = done.stdout + done.stderr
    return found


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """In files and answers, as URLs and headers have it, and in command lines."""
    for name, plant in PLANTS.items():
        for form in (plant, quote(plant, safe=""), b64encode(f"ann:{plant}".encode()).decode()):
            assert hits({"here": f"x{form}y".encode()}, PLANTS) == [f"{name} in here"]
    (tmp_path / "a.gz").write_bytes(gzip.compress(PLANTS["API_KEY"].encode()))
    assert hits(files(tmp_path, tmp_path / "secrets"), PLANTS) == [f"API_KEY in {tmp_path / 'a.gz'}"]
    command = [sys.executable, "-c", "input()", PLANTS["API_KEY"]]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        wait_until(lambda: psutil.Process(process.pid).cmdline() == command)
        assert hits(command_lines(), PLANTS) == [f"API_KEY in /proc/{process.pid}/cmdline"]
        process.communicate(b"\n")
    assert hits(command_lines(), PLANTS) == []


def test_no_secret_is_told(server: Server, plants: dict[str, str], store: WritableStore, tmp_path: Path) -> None:
    """Neither by ports, pages, commands, metrics and command lines nor in any file that was written."""
    home = tmp_path / "home"
    wait_until(lambda: any("controller" in p.cmdline() for p in psutil.Process(server.process.pid).children()))
    told = answers(server) | console_pages(server, home) | commands(store.root, home) | command_lines()
    assert len([where for where in told if where.startswith("console")]) > 10
    assert server.stop() == 0
    told |= files(tmp_path, tmp_path / "secrets")
    written = b"".join(text for where, text in told.items() if where.startswith(str(tmp_path)))

    assert b"127.0.0.1" in written
    assert b"database" in written
    assert hits(told, plants) == []


@pytest.mark.parametrize("flag", ["--database-url", "--tracking-uri"])
def test_a_password_in_a_flag_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str) -> None:
    """Without being repeated; one without a password may be a flag."""
    home = ["--home", str(tmp_path)]
    for url in ("postgresql+psycopg://u:plant-xyz@h/d", "postgresql://h/d?user=u&password=plant-xyz"):
        assert main(["backup", flag, url, *home]) == 2
        said = capsys.readouterr().err
        assert f"{flag} has a password in it" in said
        assert "plant-xyz" not in said


def test_no_secret_has_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """Of serve, up and controller."""
    for verb in ("serve", "up", "controller"):
        with pytest.raises(SystemExit) as ended:
            main([verb, "--help"])
        assert ended.value.code == 0
        flags = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        assert "--home" in flags
        secret = {"--api-key", "--metrics-key", "--jwt-secret-key", "--notify", "--redis-url", "--sender-password"}
        assert not flags & secret
        assert os.environ.get("FAIRLEAD_NOTIFY", "") == ""
