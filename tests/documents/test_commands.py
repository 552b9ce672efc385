"""The commands of the documentation, run as they stand, with the names of a set-up that is there."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from collections.abc import Iterator

import pytest
from tests.cli.conftest import Server, ports_of
from tests.web_server import publishing

from fairlead.cli.main import main

from .account import WHOLE, is_commands, runs_here
from .pages import ROOT, blocks
from .scratch import Scratch

BLOCKS = [block for block in blocks() if is_commands(block) and block.page not in WHOLE]
LINES = sorted({line for block in BLOCKS for line in block.lines if runs_here(line)})
SERVING = [line for line in LINES if "fairlead serve" in line]
ORDER = (
    "fairlead keys create",
    "fairlead keys list",
    "fairlead keys rotate",
    "fairlead keys revoke",
    "fairlead versions",
    "fairlead doctor",
    "fairlead labels",
    "fairlead quality",
    "fairlead rollout start",
    "fairlead rollout",
    "fairlead experiment",
    "fairlead promote",
    "fairlead rollback",
    "fairlead history",
    "fairlead graph",
    "fairlead console password",
    "fairlead console",
    "fairlead batch",
    "fairlead backup",
    "fairlead restore",
)
"""Some find what others left."""
COMMANDS = sorted(
    (
        line.removeprefix("pass show fairlead | ")
        for line in LINES
        if " fairlead " in f" {line}" and line not in SERVING
    ),
    key=lambda line: next(place for place, start in enumerate(ORDER) if line.startswith(start)),
)
AT_ONCE = 4
PLAIN = "fairlead serve"
ASKED = {"--tls-client-ca": "--cert ", "--tls-key tls.key": "--cacert", "--host": "KEY"}
"""By what a command for a server has in it, what requests to that server have in them; others go to the plain one."""
_URL = re.compile(r"https?://[\w.-]+(?::\d+)?|localhost:8501|https://\.\.\.")
OTHERS = [line for line in LINES if " fairlead " not in f" {line}"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory, picture: bytes) -> Iterator[Scratch]:
    """The set-up of all tests here."""
    folder = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch, publishing(folder) as issuer:
        made = Scratch.begin(folder, patch, picture, issuer)
        try:
            yield made
        finally:
            for server in made.running.values():
                server.process.terminate()
            for server in made.running.values():
                server.process.wait(60)


@pytest.fixture(scope="module")
def serving(scratch: Scratch) -> Scratch:
    """The set-up with the servers of the documents that requests go to, and the ports of the others, which are over."""
    for first in range(0, len(SERVING), AT_ONCE):
        few = [scratch.real(line) for line in SERVING[first : first + AT_ONCE]]
        for line in few:
            scratch.start(line)
        for line in few:
            server = scratch.running[line]
            server.port, server.grpc_port, server.management_port = ports_of(server.process, server.log)
            if not any(sign in line for sign in ASKED) and line != PLAIN:
                server.process.terminate()
    return scratch


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_does_what_it_is_for(scratch: Scratch, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 0; the doctor may have found something."""
    if "rollout start" in line:
        main(["rollout", "abort", "digits", "--why", "the next one"])
    if "rollback" in line:
        main(["promote", "digits", "2"])
    if "fairlead keys" in line:
        monkeypatch.setenv("FAIRLEAD_HOME", str(scratch.keyed))
    if "fairlead restore" in line:  # on another machine
        monkeypatch.setenv("FAIRLEAD_STORE", str(scratch.folder / "new" / "store"))
        monkeypatch.setenv("FAIRLEAD_DATABASE_URL", f"sqlite:///{scratch.folder}/new.db")
    monkeypatch.setattr(sys, "stdin", io.StringIO("a password that is long enough\n"))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(shlex.split(scratch.real(line))[1:])

    assert status == 0 or ("doctor" in line and status == 1), said.getvalue()


@pytest.mark.parametrize("line", SERVING)
def test_a_server_starts_by_its_command(serving: Scratch, line: str) -> None:
    """It says where it listens."""
    assert serving.running[serving.real(line)].port


@pytest.mark.parametrize("line", [line for line in OTHERS if line.startswith("curl") or "smoke.py" in line])
def test_a_request_is_answered(serving: Scratch, line: str) -> None:
    """By the server that the page begins for it; 200, or what the smoke test takes for well."""
    wanted = next((flag for flag, sign in ASKED.items() if sign in line), "")
    command = next(one for one in serving.running if wanted in one) if wanted else PLAIN
    server = serving.running[command]
    if "--cacert" not in line:
        server.wait_ready(120)
    real = _URL.sub(lambda found: _here(found[0], server), serving.real(line))
    if line.startswith("curl"):
        done = serving.shell(f"{real} -sS --retry 9 --retry-all-errors -o answer -w '%{{http_code}}'")
        assert done.stdout.endswith("200"), (serving.folder / "answer").read_text() + done.stderr
    else:
        done = serving.shell(real.replace("deploy/smoke.py", str(ROOT / "deploy" / "smoke.py")))
        assert done.returncode == 0, done.stderr


def _here(url: str, server: Server) -> str:
    """The documents' URL at the server that runs."""
    scheme, host = ("https", "localhost") if url.startswith("https://localhost") else ("http", "127.0.0.1")
    return f"{scheme}://{host}:{server.management_port if url.endswith(':8502') else server.port}"


@pytest.mark.parametrize("line", [line for line in OTHERS if not line.startswith("curl") and "smoke.py" not in line])
def test_another_program_is_there_and_does_it(scratch: Scratch, line: str) -> None:
    """Targets of make and extras of pip are those that there are; others end with 0."""
    if line.startswith("make"):
        assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif line.startswith("pip install"):
        extras = re.findall(r"\[(.*)\]", line)
        metadata = (ROOT / "pyproject.toml").read_text()
        assert all(
            re.search(rf"^{extra} = \[", metadata, re.MULTILINE) for found in extras for extra in found.split(",")
        )
    else:
        if line.startswith("openssl ec "):
            scratch.shell(next(one for one in OTHERS if one.startswith("openssl ecparam")))
        where = f"cd {ROOT} && exec {sys.executable}" if line.startswith("python") else ""
        done = scratch.shell(f"{where}{line.removeprefix('python')}" if where else line)
        assert done.returncode == 0, done.stderr
