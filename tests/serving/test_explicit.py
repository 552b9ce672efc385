"""Models are loaded and unloaded by request, in every process that shares the list."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.onnx import MODEL_FILE, OnnxLoader
from fairlead.serving.explicit import ChosenModels, ExplicitControl, ExplicitSource
from fairlead.serving.loading import VersionLoader
from fairlead.serving.manager import Manager
from fairlead.serving.source import Aspired, StoreSource
from fairlead.serving.status import State
from fairlead.serving.target import Target
from fairlead.store.writable_store import WritableStore
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.load import LoadMetrics
from fairlead.testing import publish_digit


class Process:
    """A manager of models that are loaded by request, and what loads them."""

    def __init__(self, store: WritableStore, path: Path, first: tuple[str, ...] = ()) -> None:
        chosen = ChosenModels(path, first)
        self.manager = Manager(
            ExplicitSource(StoreSource(store), chosen),
            VersionLoader(store, {"onnx": OnnxLoader()}),
            metrics=LoadMetrics(Instruments()),
            poll_interval_s=0.02,
            may_be_empty=True,
        )
        self.control = ExplicitControl(self.manager, chosen, timeout_s=20)
        self.manager.start()

    def state(self, model: str) -> State | None:
        """What the newest version of `model` does; None when it was never wanted."""
        try:
            return self.manager.statuses(model)[0].state
        except FairleadError:
            return None

    async def reaches(self, model: str, state: State) -> None:
        """Return once the newest version of `model` is in that state."""
        async with asyncio.timeout(20):
            while self.state(model) is not state:  # noqa: ASYNC110 - the manager knows no event loop
                await asyncio.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the processes' list is."""
    return tmp_path / "home" / "loaded.json"


@pytest.fixture
def processes(store: WritableStore, path: Path) -> Iterator[tuple[Process, Process]]:
    """Two over one store with the models "a" and "b"."""
    publish_digit(store, "a", 1)
    publish_digit(store, "b", 2)
    both = Process(store, path), Process(store, path)
    yield both
    for process in both:
        process.manager.stop()


async def test_nothing_is_loaded_before_it_is_asked_for(processes: tuple[Process, Process]) -> None:
    """The server is ready without a model, and knows what could be loaded."""
    one, _ = processes
    await asyncio.to_thread(one.manager.refresh, "a")
    readiness = one.manager.readiness()
    assert (readiness.is_started, readiness.is_ready, dict(readiness.models)) == (True, True, {})
    assert one.manager.models() == ("a", "b")
    assert one.state("a") is None


async def test_a_load_returns_when_the_model_answers(processes: tuple[Process, Process]) -> None:
    """At once in the process that was asked, soon in the other; nothing else is loaded."""
    one, other = processes
    await one.control.load("a")
    one.manager.acquire(Target(model="a")).release()
    assert one.manager.readiness().models == {"a": 1}
    await other.reaches("a", State.AVAILABLE)
    assert one.state("b") is other.state("b") is None
    await one.control.load("a")


async def test_a_load_takes_what_has_changed(processes: tuple[Process, Process], store: WritableStore) -> None:
    """A newer version is what the next load loads."""
    one, _ = processes
    await one.control.load("a")
    publish_digit(store, "a", 7)
    await one.control.load("a")
    assert one.manager.describe(Target(model="a")).version == 2


async def test_an_unloaded_model_goes_everywhere(processes: tuple[Process, Process]) -> None:
    """Its requests are answered first; then it is gone in both processes, which are as ready as before."""
    one, other = processes
    await one.control.load("a")
    await other.reaches("a", State.AVAILABLE)
    handle = one.manager.acquire(Target(model="a"))

    await other.control.unload("a")

    await one.reaches("a", State.UNLOADING)
    handle.release()
    for process in processes:
        await process.reaches("a", State.END)
        assert process.manager.readiness().is_ready
        assert not process.manager.statuses("a")[0].message
        with pytest.raises(FairleadError, match="Servable not found"):
            process.manager.acquire(Target(model="a"))
    await one.control.unload("a")
    await one.control.unload("nope")


async def test_an_unloaded_model_can_be_loaded_again(processes: tuple[Process, Process]) -> None:
    """As often as anybody likes."""
    one, _ = processes
    for _ in range(3):
        await one.control.load("b")
        assert one.state("b") is State.AVAILABLE
        await one.control.unload("b")
        await one.reaches("b", State.END)


async def test_an_unknown_model_is_not_loaded(processes: tuple[Process, Process]) -> None:
    """It is told, and the list stays as it was."""
    one, _ = processes
    with pytest.raises(FairleadError, match="failed to load 'nope', failed to poll from model repository") as caught:
        await one.control.load("nope")
    assert caught.value.code is Code.NOT_FOUND
    assert not one.control._chosen.read()


async def test_a_model_that_is_gone_is_not_waited_for(processes: tuple[Process, Process], store: WritableStore) -> None:
    """One that the store had and has no more is told at once."""
    one, _ = processes
    await asyncio.to_thread(one.manager.refresh, "b")
    shutil.rmtree(store.root / "b")
    with pytest.raises(FairleadError, match=r"failed to load 'b': b: .* No such file"):
        await one.control.load("b")


class Gone:
    """A source whose only model was taken out of service."""

    def read(self) -> tuple[dict[str, Aspired], dict[str, str]]:
        return {"a": Aspired()}, {}


def test_a_model_of_which_nothing_is_left_says_so(store: WritableStore) -> None:
    """There is nothing to wait for."""
    metrics = LoadMetrics(Instruments())
    manager = Manager(Gone(), VersionLoader(store, {}), metrics=metrics, may_be_empty=True)
    manager.refresh("a")
    assert manager.outcome("a") == "a: there is nothing of it to load"
    assert manager.outcome("unheard-of") is None
    manager.stop()


async def test_a_model_that_cannot_be_loaded_says_why(processes: tuple[Process, Process], store: WritableStore) -> None:
    """The reason is told, readiness is withdrawn, and a load after the repair is tried at once."""
    one, _ = processes
    model = store.root / "a" / "1" / MODEL_FILE
    good = model.read_bytes()
    model.write_bytes(good[:-1])
    with pytest.raises(FairleadError, match="failed to load 'a': a: version 1 is END: ") as caught:
        await one.control.load("a")
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert not one.manager.readiness().is_ready

    model.write_bytes(good)
    await one.control.load("a")
    assert one.manager.readiness().is_ready


class Slow:
    """A manager that is never done."""

    def refresh(self, model: str) -> None:
        """Begin."""

    def models(self) -> tuple[str, ...]:
        return ("a",)

    def outcome(self, _model: str) -> str | None:
        return None


async def test_a_load_that_takes_too_long_is_told(path: Path) -> None:
    """The wait has an end; the model stays chosen, and loading goes on."""
    chosen = ChosenModels(path)
    control = ExplicitControl(cast("Manager", Slow()), chosen, timeout_s=0.05)
    with pytest.raises(FairleadError, match=r"'a' is not loaded after 0.05 s") as caught:
        await control.load("a")
    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert chosen.read() == {"a"}


def test_the_list_begins_with_the_models_that_are_named(path: Path) -> None:
    """Until the first change; then the file alone counts, also for a process that starts later."""
    chosen = ChosenModels(path, ["a", "b"])
    assert chosen.read() == {"a", "b"}
    chosen.remove("a")
    assert ChosenModels(path, ["a", "b"]).read() == {"b"}
    assert json.loads(path.read_text()) == {"loaded": ["b"]}


def test_changes_by_several_are_all_kept(path: Path) -> None:
    """No change is lost to another that is made at the same time."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: ChosenModels(path).add(f"m{number}"), range(32)))
    assert ChosenModels(path).read() == {f"m{number}" for number in range(32)}


@pytest.mark.parametrize("text", ["", "{}", '{"loaded": 1}', '{"loaded": "ab"}', "[]"])
def test_a_damaged_list_is_told(path: Path, text: str) -> None:
    """It is not taken for an empty one, which would unload everything."""
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(FairleadError, match="does not list models") as caught:
        ChosenModels(path).read()
    assert caught.value.code is Code.DATA_LOSS


class Troubled:
    """A source of one good model, and two that cannot be read."""

    def read(self) -> tuple[dict[str, Aspired], dict[str, str]]:
        return {"good": Aspired(stable=1)}, {"bad": "torn", "other": "torn"}


def test_troubles_of_models_that_nobody_wants_are_nobodys(path: Path) -> None:
    """A model that cannot be read is unloaded all the same, and only a chosen one's trouble is told."""
    chosen = ChosenModels(path, ["bad"])
    assert ExplicitSource(Troubled(), chosen).read() == ({"good": Aspired(), "other": Aspired()}, {"bad": "torn"})
