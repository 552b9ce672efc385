"""kill -9 of every process of the loop, at each of its steps and at random: one outcome for each step, nothing lost.

A server, a controller and clients that give labels run as a user runs them, over a model that is trained again and
again. Whoever is killed is started again at once, as a service manager would. At the end everything is compared: what
clients were told with what is in the database, the journal with the passes, every version with its digests.

    python -m benchmarks.kills [--each 20] [--random 300]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from sklearn.datasets import load_digits

from benchmarks.harness.fairlead import SOURCES
from benchmarks.harness.process import free_port
from benchmarks.harness.promises import Promises, add_untimed_flag
from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.store.store import Store

MODEL = "rowwise"
RECIPE = Path(__file__).parent / "recipes" / MODEL
PLAN = {
    "mode": "canary",
    "weights": [0.5],
    "bake_s": 5,
    "min_requests": 50,
    "timeout_s": 120,
    "stale_after_s": 60,
}
_READY_S = 10.0
_STEP_S = 90.0
_SHIPPED_S = 120.0
_LINES = 40
_OK, _UNAVAILABLE = 200, 503


class Scene:
    """The processes, their home and their ports: a first version is trained, and everything started.

    Args:
        home: an empty directory.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = Store(home / "store")
        self.port = free_port()
        self.slowest_s = 0.0
        self.is_up = False
        self.kills: Counter[str] = Counter()
        self._log = (home / "log").open("wb")
        (home / "plan.json").write_text(json.dumps(PLAN))
        self._run("train", str(RECIPE)).wait()
        self.server, self.controller = self._serve(), self._control()

    def stop(self) -> None:
        """End everything as a user does."""
        for process in (self.controller, self.server):
            process.terminate()
            process.wait(60)
        self._log.close()

    def kill(self, what: str) -> bool:
        """Kill a process of that kind, and start it again where nobody else does; False when there is none now."""
        pid = self._find(what)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        self.kills[what] += 1
        if what == "server":
            self.is_up = False
            self.server.wait()
            self.server = self._serve()
        elif what == "controller":
            self.controller.wait()
            self.controller = self._control()
        if what in ("server", "worker"):
            self.slowest_s = max(self.slowest_s, self.wait_ready())
        return True

    def wait_ready(self) -> float:
        """Wait until the server is ready; how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < _STEP_S:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/health/ready")
                if connection.getresponse().status == _OK:
                    self.is_up = True
                    return time.monotonic() - began
            time.sleep(0.02)
        raise TimeoutError(f"the server is not ready after {_STEP_S} s:\n{self.said()}")

    def said(self) -> str:
        """The last lines of everybody's log."""
        return "\n".join((self.home / "log").read_text().splitlines()[-_LINES:])

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database says; nothing before it is there."""
        path = self.home / "fairlead.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
            try:
                return connection.execute(query, values).fetchall()
            except sqlite3.OperationalError:  # no tables yet
                return []

    def ask_to_train(self) -> None:
        """Have the controller train, as `fairlead retrain` does, without waiting for it."""
        code = (
            "import sys; from fairlead.app.control import open_database; from fairlead.app.releases import now;"
            "from fairlead.config import Settings; from fairlead.controller.passes import Passes, Trigger;"
            "passes = Passes(open_database(Settings.read()), now=now);"
            f"passes.unfinished('{MODEL}') or passes.begin('{MODEL}', Trigger.PERSON, sys.argv[1], {{}})"
        )
        subprocess.run([sys.executable, "-c", code, f"bench:{time.time_ns()}"], env=self._environment(), check=True)

    def _find(self, what: str) -> int | None:
        if what in ("server", "controller"):
            process = self.server if what == "server" else self.controller
            return process.pid if process.poll() is None else None
        parent, module = {
            "worker": (self.server, "fairlead.app.worker"),
            "recorder": (self.server, "fairlead.app.recorder"),
            "trainer": (self.controller, "fairlead.app.training_process"),
        }[what]
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(parent.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if module in child.cmdline():
                        return int(child.pid)
        return None

    def _serve(self) -> subprocess.Popen[bytes]:
        ports = ["--rest-port", str(self.port), "--grpc-port", "0", "--management-port", "0"]
        return self._run("serve", *ports, "--workers", "2", "--prediction-log", "on")

    def _control(self) -> subprocess.Popen[bytes]:
        flags = ["--rollout-plan", str(self.home / "plan.json"), "--schedule", "never", "--backup-hours", "1"]
        return self._run("controller", str(RECIPE), *flags)

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "fairlead.cli.main", *arguments]
        return subprocess.Popen(command, env=self._environment(), stdout=self._log, stderr=self._log)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": SOURCES, "FAIRLEAD_HOME": str(self.home), "FAIRLEAD_ENV": "dev"}


class Clients(threading.Thread):
    """Ask and give labels until told to stop, and keep what they were told.

    Attributes:
        answered: the id of every answer.
        labelled: the label of each id that the server said it had committed.
        broken: answers that are neither good nor "try again".
    """

    def __init__(self, scene: Scene) -> None:
        super().__init__(daemon=True)
        self.answered: list[str] = []
        self.labelled: dict[str, str] = {}
        self.broken: Counter[str] = Counter()
        self.over = threading.Event()
        self._scene = scene
        self._pixels, self._truth = load_digits(return_X_y=True)

    def run(self) -> None:
        """Ask for ever, a few hundred times a second."""
        turn = 0
        while not self.over.is_set():
            which = turn % len(self._truth)
            turn += 1
            body = json.dumps({"instances": [(self._pixels[which] / 16).tolist()]})
            was_up = self._scene.is_up
            status, answer = self._post(f"/predict?model={MODEL}", body)
            if status == _OK:
                id_, truth = answer["predictions"][0]["prediction_id"], str(self._truth[which])
                self.answered.append(id_)
                self._label(id_, truth)
            elif status not in (0, _UNAVAILABLE) and was_up and self._scene.is_up:  # no balancer sends to one not ready
                self.broken[f"{status}: {answer}"] += 1
            time.sleep(0.002 if status else 0.05)

    def _label(self, id_: str, truth: str) -> None:
        status, _ = self._post("/feedback", json.dumps({"prediction_id": id_, "label": truth}))
        if status == _OK:
            self.labelled[id_] = truth

    def _post(self, path: str, body: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._scene.port, timeout=30)
        try:
            connection.request("POST", path, body)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()


def steps(scene: Scene) -> dict[str, tuple[str, Callable[[], bool]]]:
    """By its name each step of the loop: who is killed, and how one sees that it is there."""

    def step() -> str:
        found = scene.rows("SELECT step FROM passes WHERE status = 'running'")
        return str(found[0][0]) if found else ""

    def tried() -> bool:
        return bool(scene.rows("SELECT 1 FROM rollouts WHERE status = 'running'"))

    def last(action: str) -> Callable[[], bool]:
        seen = [len(scene.rows("SELECT 1 FROM journal WHERE action = ?", action))]

        def has_come() -> bool:
            now = len(scene.rows("SELECT 1 FROM journal WHERE action = ?", action))
            seen[0], came = now, now > seen[0]
            return came

        return has_come

    def newer() -> Callable[[], bool]:
        seen = [scene.store.versions(MODEL)]

        def has_come() -> bool:
            now = scene.store.versions(MODEL)
            seen[0], came = now, now != seen[0]
            return came

        return has_come

    return {
        "training begins": ("controller", lambda: step() == "train"),
        "training is under way": ("trainer", lambda: step() == "train"),
        "a version appears": ("controller", newer()),
        "a version appears, trainer": ("trainer", newer()),
        "the trial begins": ("controller", last("started")),
        "the trial is under way": ("controller", tried),
        "the trial is under way, server": ("server", tried),
        "the trial is under way, worker": ("worker", tried),
        "rows are shipped": ("recorder", tried),
        "the candidate is promoted": ("controller", last("promoted")),
    }


def kill_at_steps(scene: Scene, each: int) -> None:
    """Kill so often at each step."""
    for name, (victim, is_there) in steps(scene).items():
        for turn in range(each):
            wait_for(scene, is_there, until_s=_STEP_S)
            scene.kill(victim)
            print(f"\r{name}: {turn + 1} of {each}", end="", flush=True)
        print(flush=True)


def kill_at_random(scene: Scene, times: int, rng: random.Random) -> None:
    """Kill anybody, at any time."""
    for turn in range(times):
        deadline = time.monotonic() + rng.uniform(0.05, 3.0)
        while time.monotonic() < deadline:
            keep_busy(scene)
            time.sleep(0.05)
        victims = ["server", "worker", "recorder", "controller", "trainer"]
        rng.shuffle(victims)
        next(victim for victim in victims if scene.kill(victim))
        print(f"\rat random: {turn + 1} of {times}", end="", flush=True)
    print(flush=True)


def wait_for(scene: Scene, is_there: Callable[[], bool], until_s: float) -> None:
    """Return once it is there, with the loop kept busy; too late is told, not waited for for ever."""
    deadline = time.monotonic() + until_s
    while not is_there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a step did not come within {until_s} s:\n{scene.said()}")
        keep_busy(scene)
        time.sleep(0.01)


def keep_busy(scene: Scene) -> None:
    """Ask for a retraining when none runs and nothing is being tried."""
    if not scene.rows("SELECT 1 FROM passes WHERE status = 'running'") and not scene.rows(
        "SELECT 1 FROM rollouts WHERE status = 'running'"
    ):
        scene.ask_to_train()


def settle(scene: Scene) -> None:
    """Let the loop come to its end: nothing runs, and nothing is tried."""
    deadline = time.monotonic() + 2 * _STEP_S
    while time.monotonic() < deadline:
        busy = scene.rows("SELECT 1 FROM passes WHERE status = 'running'") or scene.rows(
            "SELECT 1 FROM rollouts WHERE status = 'running'"
        )
        if not busy:
            return
        time.sleep(0.2)
    raise TimeoutError(f"the loop does not come to its end:\n{scene.said()}")


def wait_shipped(scene: Scene, clients: Clients) -> None:
    """Let the server ship what those that were killed have left in their spools; what is lost does not come."""
    deadline = time.monotonic() + _SHIPPED_S
    while set(clients.answered) - log_of(scene).keys() and time.monotonic() < deadline:
        time.sleep(1)


def log_of(scene: Scene) -> Counter[str]:
    """How often each answer's id is in the database."""
    return Counter(id_ for (id_,) in scene.rows("SELECT id FROM predictions WHERE arm != 'shadow'"))


def check(scene: Scene, clients: Clients, promises: Promises) -> None:
    """Compare what everybody was told with what is there."""
    logged = log_of(scene)
    promises.at_most("answers that are not in the log", len(set(clients.answered) - logged.keys()), 0)
    promises.at_most("rows that are there twice", sum(count > 1 for count in logged.values()), 0)
    kept = dict(scene.rows("SELECT prediction_id, label FROM labels WHERE is_current"))
    lost = sum(kept.get(id_) != label for id_, label in clients.labelled.items())
    promises.at_most("acknowledged labels that are lost", lost, 0)
    promises.at_most("answers that no client should get", clients.broken.total(), 0)
    for answer, count in clients.broken.items():
        print(f"       {count} of {answer}")
    promises.at_most("versions that are not whole, or not gated", len(list(bad_versions(scene.store))), 0)
    promises.at_most("passes without an outcome", len(scene.rows("SELECT 1 FROM passes WHERE status = 'running'")), 0)
    once = ("published", "started", "promoted", "rolled_back")
    doubled = scene.rows(
        f"SELECT subject, action, count(*) FROM journal WHERE action IN {once} GROUP BY 1, 2 HAVING count(*) > 1"  # noqa: S608 - no input
    )
    promises.at_most("steps of a version that the journal has twice", len(doubled), 0)
    for action in ("refused", "failed"):
        ended = scene.rows("SELECT 1 FROM passes WHERE status = ?", action)
        told = scene.rows("SELECT 1 FROM journal WHERE action = ?", action)
        promises.at_most(f"{action} passes that the journal does not have once each", abs(len(ended) - len(told)), 0)
    ended = scene.rows("SELECT candidate FROM rollouts GROUP BY candidate HAVING count(*) > 1")
    promises.at_most("versions that were tried twice", len(ended), 0)
    promises.takes_at_most("ready again after a kill", scene.slowest_s, _READY_S, " s")
    print(f"{len(clients.answered):,} answers, {len(clients.labelled):,} labels, kills: {dict(scene.kills)}")
    passes = scene.rows("SELECT status, count(*) FROM passes GROUP BY 1")
    print(f"passes: {dict(passes)}")


def bad_versions(store: Store) -> Iterator[str]:
    """Versions whose bytes are not those of their manifest, or whose gate did not pass."""
    for version in store.versions(MODEL):
        try:
            manifest = store.open(ServableId(MODEL, version)).manifest
        except FairleadError as error:
            yield str(error)
        else:
            if manifest.gate.get("verdict") != "passed":
                yield f"version {version}: {manifest.gate}"


def main() -> int:
    """Kill, and hold what is left against the promises."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--each", type=int, default=20, help="kills at each step")
    parser.add_argument("--random", type=int, default=300, help="kills at random")
    parser.add_argument("--seed", type=int, default=0)
    add_untimed_flag(parser)
    arguments = parser.parse_args()
    promises = Promises(is_timed=not arguments.untimed)
    with tempfile.TemporaryDirectory(prefix="fairlead-kills-") as directory:
        scene = Scene(Path(directory))
        clients = Clients(scene)
        try:
            scene.wait_ready()
            clients.start()
            kill_at_steps(scene, arguments.each)
            kill_at_random(scene, arguments.random, random.Random(arguments.seed))  # noqa: S311 - nothing is secret
            settle(scene)
            clients.over.set()
            clients.join()
            wait_shipped(scene, clients)
        finally:
            clients.over.set()
            scene.stop()
        check(scene, clients, promises)
    return promises.exit_status


if __name__ == "__main__":
    sys.exit(main())
