"""What a server leaves in its home's logs, and for how long."""

import http.client
import json
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fairlead.app.request_logs import open_access_log
from fairlead.config import Settings
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import wait_until
from .conftest import Server, StartServer

_PICTURE = [[[0.0]] * 28] * 28
_FAILURES = "fairlead_app_log_failures_total"
_ROW = json.dumps({"instances": [_PICTURE]}).encode()


def lines_of(home: Path, stream: str) -> list[dict[str, Any]]:
    """The lines of a stream, the oldest first; one that is being written is not whole yet."""
    texts = [path.read_text() for path in sorted((home / "logs").glob(f"{stream}-*.jsonl"))]
    return [json.loads(line) for text in texts for line in text.splitlines(keepends=True) if line.endswith("\n")]


def metric(server: Server, name: str) -> float:
    """The total of a metric without labels."""
    _, page = server.page("/metrics", server.management_port)
    (found,) = (line for line in page.splitlines() if line.startswith(f"{name} "))
    return float(found.rpartition(" ")[2])


@pytest.fixture
def served(store: WritableStore) -> WritableStore:
    """A store whose only model is in force."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    return store


def test_each_request_has_a_line(served: WritableStore, start_server: StartServer, tmp_path: Path) -> None:
    """Of two workers' requests, good and bad, each once, with the id that its answer tells."""
    home, told = tmp_path / "home", []
    server = start_server(served.root, "--home", str(home), "--workers", "2")
    server.wait_ready()
    for number in range(25):
        model = "digits" if number < 20 else f"nobody-{number}"
        with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
            connection.request("POST", f"/v1/models/{model}:predict", _ROW)
            response = connection.getresponse()
            told.append((response.headers["x-prediction-id"] or response.headers["x-request-id"], response.status))
    server.stop()
    lines = lines_of(home, "access")

    assert sorted((line["request_id"], line["status"]) for line in lines) == sorted(told)
    assert [line["code"] for line in lines].count("OK") == 20
    assert {line["operation"] for line in lines} == {"POST /v1/models/{model}:predict"}
    assert "nobody" not in json.dumps(lines)


def test_logs_can_be_turned_off(served: WritableStore, start_server: StartServer, tmp_path: Path) -> None:
    """The access log alone, or all files: for where standard error is all that is wanted."""
    home = tmp_path / "home"
    silent = Settings(home=home, access_log="off")
    server = start_server(served.root, "--home", str(home), "--log-files", "off")
    server.wait_ready()
    assert server.call("POST", "/v1/models/digits:predict", _ROW)[0] == 200
    server.stop()

    assert not (home / "logs").exists()
    assert open_access_log(silent, lambda _: None) is None


def test_old_lines_go_when_a_server_begins(served: WritableStore, start_server: StartServer, tmp_path: Path) -> None:
    """By the clock: each kind after a time of its own."""
    today, home = datetime.now(UTC).date(), tmp_path / "home"
    (home / "logs").mkdir(parents=True)

    def file(stream: str, age: int, day: date = today) -> Path:
        path = home / "logs" / f"{stream}-{day - timedelta(days=age)}.0.jsonl"
        path.write_text("{}\n")
        return path

    times = {"access": 30, "application": 90, "exceptions": 90, "payloads": 14}
    old = [file(stream, days) for stream, days in times.items()]
    young = [file(stream, days - 1) for stream, days in times.items()]
    server = start_server(served.root, "--home", str(home))
    wait_until(lambda: not any(path.exists() for path in old))
    server.wait_ready()

    assert all(path.exists() for path in young)


@pytest.mark.parametrize("fault", ["no directory", "full disk"])
def test_a_log_that_cannot_be_written_keeps_nobody_from_being_served(
    served: WritableStore, start_server: StartServer, tmp_path: Path, fault: str
) -> None:
    """Requests are answered, the metric counts what is lost, it is said once, and lines are there once it is mended."""
    home = tmp_path / "home"
    logs, today = home / "logs", datetime.now(UTC).date()
    home.mkdir()
    if fault == "no directory":
        logs.write_text("in the way")
    else:
        logs.mkdir()
        for stream in ("access", "application"):
            (logs / f"{stream}-{today}.0.jsonl").symlink_to("/dev/full")
    server = start_server(served.root, "--home", str(home), "--workers", "1")
    server.wait_ready()
    for _ in range(3):
        lost = metric(server, _FAILURES)
        assert server.call("POST", "/v1/models/digits:predict", _ROW)[0] == 200
        wait_until(lambda before=lost: metric(server, _FAILURES) > before)  # type: ignore[misc] # a lambda's default
    said = server.log.read_text().count("the access log cannot be written")
    if fault == "no directory":
        logs.unlink()
    else:
        for path in logs.iterdir():
            path.unlink()

    def has_line() -> bool:
        assert server.call("POST", "/v1/models/digits:predict", _ROW)[0] == 200
        return bool(lines_of(home, "access"))

    wait_until(has_line)
    assert said == 1
    wait_until(lambda: "the access log is written again" in server.log.read_text())
