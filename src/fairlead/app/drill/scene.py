"""Where a drill takes place: a scratch directory, the copy of the live set-up in it, and the server over that copy."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from fairlead.access.environment import VARIABLES
from fairlead.app.control import places
from fairlead.config import Settings
from fairlead.controller.backup import Places
from fairlead.errors import Code, FairleadError

__all__ = ["WORKERS", "Scene", "Server"]

WORKERS = 2

_Found = TypeVar("_Found")

_POLL_S = 0.02
_POLL_STORE_S = 0.2
_READY_S = 40.0
_DRAIN_S = 5.0
_GRACE_S = 12.0
_TAIL_CHARACTERS = 500
_LISTENING = re.compile(r"^listening on http://.*:(\d+) \(gRPC on .*:\d+\) .* on http://.*:(\d+)$", re.MULTILINE)


class Server:
    """A `fairlead serve` process over a store, on free ports of the loopback interface.

    It is told all that matters by flags, and hears nothing of the settings in the environment, which are the live ones.

    Args:
        settings: of the scratch copy.
        model: the one that it serves.
        log: a file for what it says.
    """

    def __init__(self, settings: Settings, model: str, log: Path) -> None:
        flags = {
            "home": settings.home,
            "store": settings.store_path,
            "models": model,
            "host": "127.0.0.1",
            "management-host": "127.0.0.1",
            "rest-port": 0,
            "grpc-port": 0,
            "management-port": 0,
            "workers": WORKERS,
            "threads": 1,
            "poll-interval-s": _POLL_STORE_S,
            "drain-timeout-s": _DRAIN_S,
            "prediction-log": "on",
            "log-format": "text",
        }
        given = [text for name, value in flags.items() for text in (f"--{name}", str(value))]
        self.log = log
        with log.open("wb") as writer:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "fairlead.cli.main", "serve", *given],
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=writer,
                env={name: value for name, value in os.environ.items() if not _is_setting(name)},
                process_group=0,  # an interrupt typed at the terminal is for the drill to act on
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def port(self) -> int:
        """Of REST.

        Raises:
            FairleadError: UNAVAILABLE while it does not listen yet.
        """
        return self._ports()[0]

    def is_ready(self) -> bool:
        """Whether all workers answer.

        Raises:
            FairleadError: UNAVAILABLE with its last words when it has ended.
        """
        if self._process.poll() is not None:
            raise self._gone(f"ended with status {self._process.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self._ports()[1], timeout=2.0)
            connection.request("GET", "/health/ready")
            page = json.loads(connection.getresponse().read())
            connection.close()
        except (OSError, http.client.HTTPException, ValueError, FairleadError):
            return False
        return bool(page.get("ready") == WORKERS)

    def stop(self) -> int:
        """Let it drain; end it when it does not. Its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _ports(self) -> tuple[int, int]:
        found = _LISTENING.search(self.log.read_text(errors="replace"))
        if found is None:
            raise self._gone("does not listen")
        return int(found[1]), int(found[2])

    def _gone(self, what: str) -> FairleadError:
        tail = self.log.read_text(errors="replace")[-_TAIL_CHARACTERS:].strip()
        return FairleadError(
            Code.UNAVAILABLE, f"the scratch server (pid {self.pid}) {what}: {tail or 'it said nothing'}"
        )


class Scene:
    """The scratch directory and what runs in it.

    Args:
        root: the directory, which is there and empty.
        model: which is practised with.
        ends_at_s: when all waiting is over, by `time.monotonic`.

    Attributes:
        settings: as if the scratch copy were a set-up of its own.
    """

    def __init__(self, root: Path, model: str, *, ends_at_s: float) -> None:
        self.root = root
        self.model = model
        self.settings = replace(Settings(), home=root / "home", store=root / "home" / "store")
        self._ends_at_s = ends_at_s
        self._servers: list[Server] = []

    @property
    def places(self) -> Places:
        """The store, the database (SQLite, whatever the live one is) and the registry of the copy."""
        return places(self.settings)

    @property
    def backups(self) -> Path:
        """Where the drill's backups go: the live one's and the copy's, so that they share what is equal."""
        return self.root / "backups"

    def start_server(self) -> Server:
        """A server over the copy, all of whose workers are ready.

        Raises:
            FairleadError: UNAVAILABLE or DEADLINE_EXCEEDED.
        """
        server = Server(self.settings, self.model, self.root / f"server-{len(self._servers) + 1}.log")
        self._servers.append(server)
        self.wait(lambda: server.is_ready() or None, _READY_S, f"the workers of the scratch server {server.pid} ready")
        return server

    def stop_servers(self) -> dict[int, int]:
        """Stop those that still run; the exit status of each by its process id."""
        return {server.pid: server.stop() for server in self._servers}

    def wait(self, look: Callable[[], _Found | None], within_s: float, what: str) -> _Found:
        """What `look` returns, as soon as it is not None.

        Raises:
            FairleadError: DEADLINE_EXCEEDED after `within_s`, or when the drill's own time is over.
        """
        now_s = time.monotonic()
        end_s = min(now_s + within_s, self._ends_at_s)
        while (found := look()) is None:
            if time.monotonic() >= end_s:
                raise FairleadError(Code.DEADLINE_EXCEEDED, f"not within {max(0.0, end_s - now_s):.0f} s: {what}")
            time.sleep(_POLL_S)
        return found


def _is_setting(name: str) -> bool:
    return name.startswith("FAIRLEAD_") or name == "MLFLOW_TRACKING_URI" or name in VARIABLES
