"""`docs/tutorial.md`, done from an empty folder as it stands: its programs, its commands, and what it shows of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.browser import OpenTab
from tests.cli.conftest import ports_of
from tests.shown import FENCE, shows

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text()
_DEADLINE_S = 120.0


@dataclass
class Desk:
    """A user at an empty folder, with three terminals.

    Attributes:
        said: what the last command printed, or the file that a program in another terminal prints to.
        running: the programs in other terminals.
    """

    folder: Path
    environment: dict[str, str]
    ports: dict[str, str] = field(default_factory=dict)
    said: str | Path = ""
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def here(self, text: str) -> str:
        """The page's text with the ports that were free."""
        return re.sub(r"\b850[012]\b", lambda found: self.ports.get(found[0], found[0]), text)

    def do(self, language: str, title: str, text: str) -> None:
        """What a reader does at a block of the page."""
        if language == "python":
            (self.folder / title).write_text(self.here(text))
        elif language == "text":
            self.see(text)
        elif "terminal" in title:
            self.open_terminal(text)
        elif title != "install":
            self.run(text)

    def open_terminal(self, command: str) -> None:
        """Start a program that goes on; of the server, learn the ports."""
        self.said = self.folder / f"terminal-{len(self.running)}.log"
        with self.said.open("wb") as log:
            self.running.append(
                subprocess.Popen(
                    ["sh", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, stdout=log, stderr=log
                )
            )
        if "serve" in command:
            rest, grpc, management = ports_of(self.running[-1], self.said)
            self.ports = {"8501": str(rest), "8500": str(grpc), "8502": str(management)}

    def run(self, command: str) -> None:
        """Run commands to their end. While a trial goes on, callers do, and its status is asked again."""
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            done = subprocess.run(
                ["sh", "-c", self.here(command)],
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            self.said = done.stdout + done.stderr
            assert "Traceback" not in self.said, self.said
            if "against 1: running" not in self.said:
                return
            assert time.monotonic() < deadline, self.said
            self.run("python callers.py")

    def see(self, shown: str) -> None:
        """The last command printed this; a program in another terminal will have."""
        deadline = time.monotonic() + _DEADLINE_S
        while not shows(shown, self.said):
            goes_on = isinstance(self.said, Path) and time.monotonic() < deadline
            assert goes_on, f"{shown}\nis not what was printed:\n{self.said}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An empty folder, and the commands that the page's installation puts on the path."""
    bin_folder = tmp_path_factory.mktemp("bin")
    for name, arguments in (("fairlead", "-m fairlead.cli.main "), ("python", "")):
        program = bin_folder / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments}"$@"\n')
        program.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAIRLEAD_", "MLFLOW_"))}
    free = {f"FAIRLEAD_{port}_PORT": "0" for port in ("REST", "GRPC", "MANAGEMENT")}
    desk = Desk(
        folder=tmp_path_factory.mktemp("tour"),
        environment={**kept, **free, "PATH": f"{bin_folder}:{os.environ['PATH']}", "FAIRLEAD_CONSOLE": "on"},
    )
    try:
        yield desk
    finally:
        for process in reversed(desk.running):
            process.terminate()
        for process in desk.running:
            process.wait(60)


def test_the_tutorial_goes_as_it_says(desk: Desk, open_tab: OpenTab) -> None:
    """Every command works as printed, in order, and prints what is shown; the console then tells of the rollback."""
    for block in FENCE.findall(PAGE):
        desk.do(*block)

    (name,) = re.findall(r"sign in as (\S+),", (desk.folder / "terminal-0.log").read_text())
    tab = open_tab(desk.here("http://127.0.0.1:8502/console/rollouts"))
    tab.page.get_by_label("Name").fill(name)
    tab.page.get_by_label("Password").fill((desk.folder / ".fairlead/console/first-password").read_text().strip())
    tab.page.get_by_role("button", name="Sign in").click()
    tab.page.get_by_text("rolled back").first.wait_for()


def test_what_it_installs_is_what_it_needs() -> None:
    """The extras that it names are those of the package."""
    (install,) = (text for _, title, text in FENCE.findall(PAGE) if title == "install")
    (extras,) = re.findall(r"fairlead\[(.*)\]", install)
    metadata = (ROOT / "pyproject.toml").read_text()

    assert all(re.search(rf"^{extra} = \[", metadata, re.MULTILINE) for extra in extras.split(","))
