"""kill -9 at every single step of publish, promote and rollback: the store still holds whole versions only.

A step is a line of code of the store, or a call of the operating system from one: the sweep runs the change in a
forked child that a trace function kills at step N, for every N until the change gets through.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SWEEP = r'''
import os, shutil, signal, sys
from datetime import UTC, datetime
from pathlib import Path

from fairlead.errors import FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.store.writable_store import WritableStore
from fairlead.testing import DIGIT_SIGNATURE
import fairlead.store

root, change = Path(sys.argv[1]), sys.argv[2]
ROOM = str(Path(fairlead.store.__file__).parent)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
store = WritableStore(root / "store", now=lambda: NOW, who="tester")
source = root / "weights"
source.write_bytes(os.urandom(5000))


def describe(version, digests):
    return Manifest(model="m", version=version, runtime="onnx", signature=DIGIT_SIGNATURE, labels=(), files=digests,
                    created_at=NOW)


def publish():
    return store.publish("m", {"model.onnx": source, "golden.npz": source}, describe).manifest.version


def change_once():
    {"publish": publish,
     "promote": lambda: store.promote(ServableId("m", store.versions("m")[-1]), why=""),
     "rollback": lambda: store.rollback("m", why=""),
    }[change]()


def die_at(step):
    """Kill this process at its step-th step, or count the steps when `step` is 0."""
    count = 0

    def tick():
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_line(frame, event, arg):
        if event == "line":
            tick()
        return on_line

    def on_call(frame, event, arg):
        return on_line if frame.f_code.co_filename.startswith(ROOM) else None

    def on_system_call(frame, event, arg):
        # before and after each call of the operating system, also those that the standard library makes for us
        if event in ("c_call", "c_return") and getattr(arg, "__module__", "") in ("posix", "_io"):
            tick()

    sys.setprofile(on_system_call)
    sys.settrace(on_call)
    change_once()
    sys.settrace(None)
    sys.setprofile(None)
    return count


def check_whole(kept):
    """What must hold after any death: a reader finds whole versions and a release, and nothing was lost."""
    release = store.release("m")
    assert release is not None and release.stable in store.versions("m"), release
    for version in store.versions("m"):
        store.open(ServableId("m", version))
    assert set(kept) <= set(store.versions("m")), "an earlier version was lost"
    assert release.revision == store.history("m")[-1].revision


def check_next_writer():
    """And what the next writer finds: it succeeds, and clears up."""
    before = store.release("m")
    version = publish()
    store.open(ServableId("m", version))
    assert store.promote(ServableId("m", version), why="").revision == before.revision + 1
    assert not list((root / "store" / "m").glob(".incoming-*"))
    assert [r.revision for r in store.history("m")] == list(range(1, before.revision + 2))


for _ in range(2):
    publish()
    store.promote(ServableId("m", store.versions("m")[-1]), why="")
if change == "promote":
    publish()
shutil.copytree(root / "store", root / "prepared")
steps = die_at(0)
for step in range(1, steps + 1):
    shutil.rmtree(root / "store")
    shutil.copytree(root / "prepared", root / "store")
    kept = store.versions("m")
    child = os.fork()
    if child == 0:
        die_at(step)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, step
    check_whole(kept)
    check_next_writer()
print(steps)
'''


@pytest.mark.parametrize(("change", "least"), [("publish", 150), ("promote", 100), ("rollback", 100)])
def test_a_writer_killed_at_any_step_leaves_whole_versions(scratch: Path, change: str, least: int) -> None:
    """After each death there is a whole stable version, none is lost, and the next writer succeeds."""
    done = sweep(SWEEP, scratch, change)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= least


def test_the_sweep_sees_a_store_that_breaks(scratch: Path) -> None:
    """The negative control: a publisher that builds the version in place is caught."""
    done = sweep(SWEEP.replace("root, change =", _IN_PLACE + "\nroot, change ="), scratch, "publish")

    assert done.returncode != 0
    assert "is not a manifest" in done.stderr or "its manifest lists" in done.stderr


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: death by signal is the same there, and a thousand syncs are quick."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as name:
        yield Path(name)


def sweep(script: str, scratch: Path, change: str) -> subprocess.CompletedProcess[str]:
    """Run the sweep in a process of its own, which has no threads to lose in a fork."""
    command = [sys.executable, "-c", script, str(scratch), change]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


_IN_PLACE = r"""
import fairlead.store.writable_store as module
def publish_in_place(self, model, sources, describe):
    base = self.base(model)
    base.mkdir(parents=True, exist_ok=True)
    version = self._next_version(model)
    place = base / str(version)
    place.mkdir()
    digests = {name: module.files.digest_file(path) for name, path in sources.items()}
    manifest = describe(version, digests)
    module.files.write_file(place / "manifest.json", manifest.encode())
    for name, path in sources.items():
        module.files.copy_file(path, place / name)
    return module.Version(directory=place, manifest=manifest)
module.WritableStore.publish = publish_in_place
"""
