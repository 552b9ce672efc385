"""Servers on several hosts that share rates by a real Redis."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.training.test_download import free_port

from fairlead.cli.main import main
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import BODY, wait_until
from .conftest import Server, StartServer
from .test_keys import made

pytestmark = pytest.mark.usefixtures("without_log")

pytest.importorskip("redis")
V1 = "/v1/models/digits:predict"
_FLOOD_S = 2.0


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A Redis that keeps nothing, and its URL."""
    if shutil.which("redis-server") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("redis-server is not installed (Debian: redis-server)")
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield process, f"redis://127.0.0.1:{port}/0"
    process.kill()
    process.wait(30)


def flooded(servers: list[Server], key: str, seconds: float) -> float:
    """What servers that are asked on and on let in together, as a share of what they would if each were alone."""
    began = time.monotonic()
    until, counts = time.monotonic() + seconds, [0] * len(servers)

    def ask_on(which: int) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", servers[which].port, timeout=30)) as connection:
            while time.monotonic() < until:
                connection.request("POST", V1, BODY, {"x-api-key": key})
                response = connection.getresponse()
                response.read()
                counts[which] += response.status == 200

    threads = [threading.Thread(target=ask_on, args=(which,)) for which in range(len(servers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(counts) > 0
    return sum(counts) / (len(servers) * (40 * (time.monotonic() - began) + 10))


def test_two_hosts_let_in_together_what_keys_may_have(
    store: WritableStore,
    start_server: StartServer,
    redis_server: tuple[subprocess.Popen[bytes], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nor twice as much while Redis hangs, which no request waits for; the log and a metric say so."""
    for model in ("digits", "other"):
        store.promote(publish_digit(store, model, 7).manifest.id, why="")
    redis, url = redis_server
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", url)
    homes = [tmp_path / "one", tmp_path / "two"]
    key = made(capsys, "create", "shop", "--rate", "40/s", "--burst", "10", "--home", str(homes[0]))["key"]
    free = made(capsys, "create", "free", "--scope", "admin", "--home", str(homes[0]))["key"]
    few = made(capsys, "create", "few", "--quota", "20/month", "--home", str(homes[0]))["key"]
    homes[1].mkdir()
    shutil.copy(homes[0] / "keys.json", homes[1] / "keys.json")
    given = ["--workers", "1", "--model-quotas", "other=20/month"]
    servers = [start_server(store.root, "--home", str(home), *given) for home in homes]
    for server in servers:
        server.wait_ready()

    def counted(outcome: str) -> bool:
        with closing(http.client.HTTPConnection("127.0.0.1", servers[0].management_port, timeout=30)) as connection:
            connection.request("GET", "/metrics", headers={"x-api-key": free})
            page = connection.getresponse().read().decode()
        return f'fairlead_exchanges_total{{outcome="{outcome}"}} 0.0' not in page

    def used(home: Path) -> int:
        assert main(["keys", "list", "--json", "--home", str(home)]) == 0
        return int(next(key["used"] for key in json.loads(capsys.readouterr().out) if key["name"] == "few"))

    wait_until(lambda: counted("done"))
    assert not counted("failed")
    assert 0.1 < flooded(servers, key, _FLOOD_S) < 0.85
    redis.send_signal(signal.SIGSTOP)
    wait_until(lambda: counted("failed"))
    assert flooded(servers, key, _FLOOD_S) < 0.85
    took_s = []
    for _ in range(20):
        began = time.monotonic()
        assert servers[0].call("POST", V1, BODY, {"x-api-key": free})[0] == 200
        took_s.append(time.monotonic() - began)
    assert statistics.median(took_s) < 0.25
    assert "this host goes on with the share that it had: Redis does not answer" in servers[0].log.read_text()
    redis.send_signal(signal.SIGCONT)
    wait_until(lambda: "rates are shared again" in servers[0].log.read_text())

    def statuses(server: Server) -> tuple[int, int]:
        """Of one request with the key that has a quota, and of one for the model that has one."""
        asked = ((V1, few), ("/v1/models/other:predict", free))
        by_key, by_model = (server.call("POST", path, BODY, {"x-api-key": key})[0] for path, key in asked)
        return by_key, by_model

    assert [statuses(servers[0]) for _ in range(18)] == [(200, 200)] * 18
    wait_until(lambda: used(homes[0]) == 18)
    answers = [statuses(servers[1])]
    while 200 in answers[-1]:
        time.sleep(0.5)
        answers.append(statuses(servers[1]))
    let_in = [Counter(statuses)[200] for statuses in zip(*answers, strict=True)]
    assert all(2 <= count < 20 for count in let_in)
    wait_until(lambda: used(homes[1]) == 18 + let_in[0])
    assert [server.stop() for server in servers] == [0, 0]


def test_what_is_no_url_of_a_redis_starts_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal does not repeat it: there may be a password in it."""
    monkeypatch.setenv("FAIRLEAD_REDIS_URL", "http://:planted@cache/0")
    (tmp_path / "store").mkdir()
    ports = ["--rest-port", "0", "--grpc-port", "0", "--management-port", "0"]
    assert main(["serve", "--home", str(tmp_path), "--store", str(tmp_path / "store"), *ports]) == 2
    told = capsys.readouterr().err
    assert "FAIRLEAD_REDIS_URL is no URL of a Redis" in told
    assert "planted" not in told
