"""What a running process opens and connects to, as the kernel sees it."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from tests.cli.clients import wait_until
from tests.cli.prometheus import program

_OPENED = re.compile(r"open(?:at2?)?\(.*\) = \d+<(?P<path>[^>]*)>$")
_CONNECTED = re.compile(r"connect\(.*sa_family=AF_INET6?, .*$")


@dataclass
class Trace:
    """What was seen; complete once the context that made it is left.

    Attributes:
        lines: every call to open or connect, with the paths of the descriptors that it used.
        opened: the files and directories that were opened.
        connected: the attempts to reach another host or port.
    """

    lines: list[str] = field(default_factory=list)

    @property
    def opened(self) -> set[str]:
        return {found["path"] for line in self.lines if (found := _OPENED.search(line))}

    @property
    def connected(self) -> list[str]:
        return [line for line in self.lines if _CONNECTED.search(line)]


@contextmanager
def traced(pid: int, directory: Path) -> Iterator[Trace]:
    """Watch a process and its children; skipped where the kernel lets nobody watch."""
    family = [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    written, said = directory / "trace", directory / "strace.log"
    command = [
        program("strace"),
        "-f",
        "-y",
        "-s",
        "4096",
        "-e",
        "trace=open,openat,openat2,connect",
        "-o",
        str(written),
    ]
    with said.open("wb") as log:
        strace = subprocess.Popen([*command, *(f"-p{one}" for one in family)], stderr=log)
    wait_until(lambda: strace.poll() is not None or said.read_text().count(" attached") >= len(family))
    if strace.poll() is not None:
        pytest.skip(f"strace may watch no process here: {said.read_text().strip()}")
    trace = Trace()
    try:
        yield trace
    finally:
        strace.send_signal(signal.SIGINT)
        strace.wait(20)
        trace.lines += written.read_text(errors="replace").splitlines()
