"""A server in a process of its own, told to leave while clients are busy with it."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.transport.live import TIMEOUT_S, ask

ROOT = Path(__file__).parents[2]
CLIENTS = 24
WARM_REQUESTS = 2000


@contextmanager
def process() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server in a process of its own, and its port."""
    script = str(Path(__file__).with_name("serve_fakes.py"))
    with subprocess.Popen(
        [sys.executable, script],
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        try:
            yield server, int(server.stdout.readline())
        finally:
            server.kill()


class Load:
    """Clients in closed loops, who count what they get and note what fails."""

    def __init__(self, port: int, *, keep_alive: bool) -> None:
        self.port = port
        self.keep_alive = keep_alive
        self.answers = threading.Semaphore(0)
        self.failures: list[str] = []

    def wait_for(self, answers: int) -> None:
        """Return when so many have come."""
        for _ in range(answers):
            assert self.answers.acquire(timeout=TIMEOUT_S)

    def run(self) -> int:
        """One client, until the port is closed; how many answers it got."""
        answered = 0
        while True:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
            try:
                connection.connect()
            except ConnectionRefusedError:
                return answered
            with closing(connection):
                answered += self._talk(connection)

    def _talk(self, connection: HTTPConnection) -> int:
        answered = 0
        try:
            while connection.sock:  # http.client drops the socket when the answer says close
                answer = ask(connection)
                assert answer.status == 200
                answered += 1
                self.answers.release()
                if not self.keep_alive:
                    break
        except (OSError, AssertionError) as error:
            self.failures.append(repr(error))
        return answered


@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_fails_no_request(keep_alive: bool, stop: signal.Signals) -> None:
    """Told to leave under load, the server answers every request that it accepted and exits with 0."""
    with process() as (server, port), ThreadPoolExecutor(CLIENTS) as pool:
        load = Load(port, keep_alive=keep_alive)
        clients = [pool.submit(load.run) for _ in range(CLIENTS)]
        load.wait_for(WARM_REQUESTS)
        server.send_signal(stop)
        answered = sum(client.result() for client in clients)
        _, errors = server.communicate(timeout=TIMEOUT_S)
    assert not load.failures, f"{len(load.failures)} failed of {answered}"
    assert server.returncode == 0
    assert errors == ""
