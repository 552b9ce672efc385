"""The console of a real server."""

from __future__ import annotations

import io
import os
import re
import signal
from pathlib import Path

import pytest

from fairlead.cli.main import main
from fairlead.store.writable_store import WritableStore
from fairlead.testing import publish_digit

from .clients import wait_until
from .conftest import Server, StartServer, is_running, kept, running

CONSOLE = "fairlead.app.console"


@pytest.fixture
def served(store: WritableStore, start_server: StartServer) -> Server:
    """A server with a console, which answers."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    server = start_server(store.root, "--workers", "1", "--console", "on")
    server.wait_ready()
    wait_until(lambda: server.page("/console/login", server.management_port)[0] == 200)
    return server


def test_it_comes_with_the_server_and_goes_with_it(served: Server) -> None:
    """The first page of the management port leads there, and the log says how to get in."""
    pid = kept(served, CONSOLE)
    assert served.page("/", served.management_port)[0] == 302
    found = re.search(r"console at (\S+): sign in as \S+, with the password in (\S+)", served.log.read_text())
    assert found
    assert found[1] == f"http://127.0.0.1:{served.management_port}/console/"
    assert len(Path(found[2]).read_text()) > 20
    assert served.stop() == 0
    assert not is_running(pid)


def test_while_it_is_gone_everything_else_answers(served: Server) -> None:
    """It comes back by itself."""
    first = kept(served, CONSOLE)
    os.kill(first, signal.SIGKILL)
    for path in ("/health", "/metrics", "/workers"):
        assert served.page(path, served.management_port)[0] == 200
    assert served.call("GET", "/health/ready")[0] == 200
    wait_until(lambda: running(served, CONSOLE) not in ([], [first]))
    wait_until(lambda: served.page("/console/login", served.management_port)[0] == 200)


def test_one_that_hangs_holds_nobody_up(served: Server) -> None:
    """Stopped, it answers nothing; the rest does at once."""
    pid = kept(served, CONSOLE)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert served.page("/health", served.management_port)[0] == 200
        assert served.page("/metrics", served.management_port)[0] == 200
    finally:
        os.kill(pid, signal.SIGCONT)


def test_without_a_console_there_is_no_page(store: WritableStore, start_server: StartServer) -> None:
    """And no process."""
    store.promote(publish_digit(store, "digits", 7).manifest.id, why="")
    server = start_server(store.root, "--workers", "1", "--console", "off")
    server.wait_ready()
    assert server.managed("/console/")[0] == 404
    assert running(server, CONSOLE) == []


def test_passwords_are_set_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is too short changes nothing; a user who is taken away is listed no more."""
    home = str(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("four random words\n"))
    assert main(["console", "password", "ann", "--home", home]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert main(["console", "password", "bob", "--home", home]) == 2
    capsys.readouterr()
    assert main(["console", "users", "--home", home]) == 0
    assert capsys.readouterr().out == "ann\n"
    assert main(["console", "remove", "ann", "--home", home]) == 0
    assert main(["console", "remove", "ann", "--home", home]) == 2
    assert "no user" in capsys.readouterr().err
