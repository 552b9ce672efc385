"""A plain tree of models is served as TensorFlow Serving serves it: by version policy, swaps included."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.serving.loading import VersionLoader
from fairlead.serving.manager import Manager
from fairlead.serving.source import StoreSource
from fairlead.serving.status import State
from fairlead.serving.target import Target, UnknownSignatureError
from fairlead.serving.version_policy import VersionPolicy
from fairlead.store.plain import QuietVersions
from fairlead.store.store import Store
from fairlead.telemetry.exposition import registry_of
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.load import LoadMetrics
from fairlead.testing import write_digit_model

from .conftest import World

ONE = np.zeros((1, 28, 28, 1), np.float32)
QUIET_S = 0.05

Start = Callable[..., World]


@pytest.fixture
def start(store: Store) -> Iterator[Start]:
    """Starts a manager over the plain tree in the store's directory."""
    started: list[Manager] = []

    def begin(policy: str = "latest", models: tuple[str, ...] = (), quiet_period_s: float = QUIET_S) -> World:
        instruments = Instruments()
        source = StoreSource(store, models, policy=VersionPolicy.parse(policy), quiet_period_s=quiet_period_s)
        loader = VersionLoader(store, {"onnx": OnnxLoader()})
        manager = Manager(source, loader, metrics=LoadMetrics(instruments), poll_interval_s=0.01)
        started.append(manager)
        manager.start()
        return World(store=store, manager=manager, registry=registry_of(instruments))  # type: ignore[arg-type] # nothing is published

    yield begin
    for manager in started:
        manager.stop()


def put(store: Store, version: str, digit: int, model: str = "m") -> Path:
    """Put a version in place that answers `digit`, whole from the first moment."""
    base = store.root / model
    made = store.root.parent / f"made-{model}-{version}"
    made.mkdir()
    write_digit_model(made, digit)
    (made / "golden.npz").unlink()
    base.mkdir(parents=True, exist_ok=True)
    return made.rename(base / version)


def answer(world: World, target: Target) -> int:
    """The digit that `target` answers now."""
    handle = world.manager.acquire(target)
    try:
        return int(handle.servable.predict({"image": ONE})["probs"].argmax())
    finally:
        handle.release()


def states(world: World, model: str = "m") -> dict[int, State]:
    """What each version is doing, newest first."""
    try:
        return {status.id.version: status.state for status in world.manager.statuses(model)}
    except FairleadError:
        return {}


def test_the_newest_version_answers(store: Store, start: Start) -> None:
    """By number, with zeros before it or not, under its number and without one."""
    put(store, "9", 1)
    put(store, "00000010", 2)
    world = start()
    world.wait(lambda: world.serving() == 10)

    assert world.manager.readiness().is_ready
    world.wait(lambda: states(world).get(9, State.END) is State.END)  # it may have been quiet a moment earlier
    assert states(world)[10] is State.AVAILABLE
    assert answer(world, Target(model="m")) == 2
    assert answer(world, Target(model="m", version=10)) == 2
    manifest = world.manager.describe(Target(model="m"))
    assert (manifest.version, manifest.runtime, manifest.signature.inputs[0].name) == (10, "onnx", "image")


def test_a_new_version_takes_over_and_the_old_one_leaves(store: Store, start: Start) -> None:
    """At no moment does nobody answer."""
    put(store, "1", 1)
    world = start()
    world.wait(lambda: world.serving() == 1)
    put(store, "2", 2)
    answers = set()

    def is_done() -> bool:
        answers.add(answer(world, Target(model="m")))
        return states(world) == {2: State.AVAILABLE, 1: State.END}

    world.wait(is_done)

    assert answers == {1, 2}


@pytest.mark.parametrize(
    ("policy", "up", "default"),
    [("latest:2", {3, 2}, 3), ("all", {1, 2, 3}, 3), ("specific:1,2,8", {1, 2}, 2), ("specific:1", {1}, 1)],
)
def test_several_versions_are_up_at_once(store: Store, start: Start, policy: str, up: set[int], default: int) -> None:
    """The highest of them answers callers who name none."""
    for version in (1, 2, 3):
        put(store, str(version), version)
    world = start(policy)
    world.wait(lambda: {v for v, state in states(world).items() if state is State.AVAILABLE} == up)

    assert answer(world, Target(model="m")) == default
    assert {answer(world, Target(model="m", version=version)) for version in up} == up
    with pytest.raises(FairleadError, match=r"Servable not found for request: Specific\(m, 9\)"):
        answer(world, Target(model="m", version=9))


def test_while_the_newest_cannot_be_loaded_the_next_one_answers(store: Store, start: Start) -> None:
    """The highest that is up, as long as one is; readiness says what is wrong with the other."""
    put(store, "1", 1)
    world = start("latest:2")
    world.wait(lambda: world.serving() == 1)
    (store.root / "m" / "2").mkdir()
    (store.root / "m" / "2" / "model.onnx").write_bytes(b"no model")
    world.wait(lambda: states(world).get(2) is State.END)

    assert answer(world, Target(model="m")) == 1
    assert world.manager.statuses("m", 2)[0].code is Code.DATA_LOSS
    assert world.manager.readiness().is_ready
    assert "version 2 is END: model.onnx cannot be loaded" in world.manager.readiness().degraded[0]


def test_a_version_whose_files_vanish_is_unloaded(store: Store, start: Start) -> None:
    """The one before it is loaded first; when the last one goes, the model has none and is no longer asked for."""
    put(store, "1", 1)
    newest = put(store, "2", 2)
    world = start()
    world.wait(lambda: world.serving() == 2)
    shutil.rmtree(newest)
    world.wait(lambda: states(world) == {2: State.END, 1: State.AVAILABLE})
    assert answer(world, Target(model="m")) == 1
    shutil.rmtree(store.root / "m" / "1")
    world.wait(lambda: states(world) == {2: State.END, 1: State.END})

    assert world.manager.readiness().models == {}
    with pytest.raises(FairleadError, match=r"Servable not found for request: Latest\(m\)"):
        answer(world, Target(model="m"))


def test_a_base_path_that_cannot_be_read_changes_nothing(store: Store, start: Start) -> None:
    """A mount that is gone for a while is no reason to stop answering, and readiness names it."""
    put(store, "1", 1)
    world = start()
    world.wait(lambda: world.serving() == 1)
    away = (store.root / "m").rename(store.root.parent / "away")
    world.wait(lambda: world.manager.readiness().degraded != ())

    assert "No such file" in world.manager.readiness().degraded[0]
    assert answer(world, Target(model="m")) == 1
    away.rename(store.root / "m")
    world.wait(lambda: world.manager.readiness().degraded == ())
    assert states(world) == {1: State.AVAILABLE}


class Clock:
    """A second that a test moves, and how often it was looked at."""

    def __init__(self) -> None:
        self.now_s, self.looks = 0.0, 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now_s

    def wait_for_looks(self, world: World) -> None:
        """Return when the manager has begun and ended a look at the store since."""
        enough = self.looks + 4
        world.wait(lambda: self.looks > enough)


def test_a_directory_that_is_being_copied_is_left_alone(
    store: Store, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the copy takes, the version is not even tried before it is whole, and then it is."""
    put(store, "1", 1)
    made = put(store, "8", 8, model="elsewhere")
    clock = Clock()
    monkeypatch.setattr("fairlead.serving.source.QuietVersions", partial(QuietVersions, monotonic=clock))
    world = start(quiet_period_s=60.0)
    clock.wait_for_looks(world)
    clock.now_s += 60.0
    world.wait(lambda: world.serving() == 1)
    target = store.root / "m" / "8"
    target.mkdir()
    data = (made / "model.onnx").read_bytes()
    with (target / "model.onnx").open("wb", buffering=0) as file:
        for here, there in itertools.pairwise(range(0, len(data) + 20, len(data) // 20)):
            file.write(data[here:there])
            clock.wait_for_looks(world)
            clock.now_s += 50.0
            assert set(states(world)) == {1}
    clock.wait_for_looks(world)
    assert set(states(world)) == {1}
    clock.now_s += 60.0
    world.wait(lambda: world.serving() == 8)

    assert world.registry.get_sample_value("fairlead_model_load_failures_total", {"model": "m"}) in (None, 0)


def test_a_name_that_a_copy_had_for_a_while_is_forgotten(store: Store, start: Start) -> None:
    """A tree that gets its name when it is whole leaves no model behind that never answers."""
    put(store, "1", 1, model="m.copying")
    world = start(quiet_period_s=30.0)
    world.wait(lambda: "m.copying" in world.manager.readiness().models)
    (store.root / "m.copying").rename(store.root / "m")

    world.wait(lambda: list(world.manager.readiness().models) == ["m"])


def test_a_required_model_without_versions_is_missing(store: Store, start: Start) -> None:
    """Not so one that was only found."""
    put(store, "1", 1)
    shutil.move(store.root / "m" / "1", store.root.parent / "away")
    world = start(models=("m",))
    world.wait(lambda: world.manager.readiness().missing == ("m: the store has no version of it yet",))


def test_an_unknown_signature_is_told_apart(store: Store, start: Start) -> None:
    """The default has two names, and no other is known; the version is not held by the request that fails."""
    put(store, "1", 1)
    world = start()
    world.wait(lambda: world.serving() == 1)

    assert answer(world, Target(model="m", signature="serving_default")) == 1
    with pytest.raises(UnknownSignatureError, match='Serving signature name: "s" not found in signature def') as caught:
        answer(world, Target(model="m", signature="s"))
    assert (caught.value.signature, caught.value.code) == ("s", Code.INVALID_ARGUMENT)
    assert "serving_default" in caught.value.hint
    put(store, "2", 2)
    world.wait(lambda: states(world) == {2: State.AVAILABLE, 1: State.END})


def test_no_label_is_known_of_a_plain_model(store: Store, start: Start) -> None:
    """Not even that of a release."""
    put(store, "1", 1)
    world = start()
    world.wait(lambda: world.serving() == 1)

    with pytest.raises(FairleadError, match="Unrecognized servable version label: stable"):
        answer(world, Target(model="m", label="stable"))
