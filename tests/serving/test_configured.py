"""The model configuration: which one is in force, what it asks for, and how it is replaced at run time."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.serving.configured import ConfigInForce, ConfiguredSource
from fairlead.serving.loading import VersionLoader
from fairlead.serving.manager import Manager
from fairlead.serving.model_config import ModelConfig, check_configs
from fairlead.serving.reload import ConfigReload
from fairlead.serving.status import State
from fairlead.serving.target import Target
from fairlead.serving.version_policy import VersionPolicy
from fairlead.store.store import Store
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.load import LoadMetrics
from fairlead.testing import write_digit_model

ALL = VersionPolicy(latest=None)
ONE = np.zeros((1, 28, 28, 1), np.float32)


def parse(text: bytes) -> tuple[ModelConfig, ...]:
    """A line a model: its name and its base path."""
    if text == b"nonsense":
        raise FairleadError(Code.INVALID_ARGUMENT, "the text is nonsense")
    return tuple(ModelConfig(name=name, base_path=path) for name, path in map(str.split, text.decode().splitlines()))


class Given:
    """What the user gives, and the configurations in force in two processes."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "models.config"
        self.state = folder / "home" / "in_force.json"
        self.one, self.two = self.process(), self.process()

    def process(self) -> ConfigInForce:
        """The configuration as one more process sees it."""
        return ConfigInForce(self.state, self.path.read_bytes, parse)

    def give(self, *models: str) -> None:
        """Write the file anew."""
        self.path.write_text("".join(f"{model} /models/{model}\n" for model in models))

    def names(self) -> list[list[str]]:
        """What is in force in both processes."""
        return [[config.name for config in process.read()] for process in (self.one, self.two)]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    """With one model."""
    given = Given(tmp_path)
    given.give("a")
    return given


def test_what_is_given_is_in_force(given: Given) -> None:
    """And what is given next."""
    assert given.names() == [["a"], ["a"]]
    given.give("b", "c")
    assert given.names() == [["b", "c"], ["b", "c"]]


def test_a_replacement_holds_in_every_process_until_the_file_changes(given: Given) -> None:
    """Also in one that starts later; it comes back as it was written."""
    replacement = ModelConfig(
        name="r", base_path="/r", platform="onnx", policy=VersionPolicy(specific=frozenset({3, 7})), labels={"x": 3}
    )
    given.names()
    given.one.replace((replacement, ModelConfig(name="s", base_path="/s", policy=ALL)))

    assert given.names() == [["r", "s"], ["r", "s"]]
    assert given.process().read()[0] == replacement
    given.give("b")
    assert given.names() == [["b"], ["b"]]


def test_a_process_that_starts_late_does_not_undo_a_replacement(given: Given) -> None:
    """Even when one comes between its look at the file and its writing down what that says."""

    def parse_slowly(text: bytes) -> tuple[ModelConfig, ...]:
        given.one.replace(parse(b"r /r"))
        return parse(text)

    late = ConfigInForce(given.state, given.path.read_bytes, parse_slowly)

    assert [config.name for config in late.read()] == ["r"]
    assert given.names() == [["r"], ["r"]]


@pytest.mark.parametrize("bad", ["nonsense", "a /a\na /b", "a relative/path"])
def test_a_file_that_makes_no_sense_changes_nothing(given: Given, bad: str, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once, and a process that starts now serves what served before."""
    given.names()
    given.path.write_text(bad)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert given.names() == [["a"], ["a"]]

    assert [config.name for config in given.process().read()] == ["a"]
    assert caplog.text.count("the one before it stays in force") == 3  # once in each process
    given.give("b")
    assert given.names() == [["b"], ["b"]]


def test_a_file_that_is_gone_changes_nothing(given: Given) -> None:
    """A mount may come back."""
    given.names()
    given.path.unlink()

    assert given.names() == [["a"], ["a"]]


def test_at_the_start_there_must_be_something(given: Given) -> None:
    """A server that was told nonsense does not start."""
    given.path.write_text("nonsense")
    with pytest.raises(FairleadError, match="the text is nonsense"):
        given.one.read()
    given.path.unlink()
    with pytest.raises(FileNotFoundError):
        given.one.read()


def test_what_a_replacement_left_damaged_is_as_good_as_nothing(given: Given, caplog: pytest.LogCaptureFixture) -> None:
    """What is given serves, and the file is written anew."""
    with caplog.at_level(logging.WARNING):
        given.one.replace(parse(b"r /r"))
        assert given.names() == [["r"], ["r"]]
        assert caplog.text.count("a request replaced the model configuration") == 2  # once in each process
        given.state.write_bytes(b"{")

        assert [config.name for config in given.process().read()] == ["a"]
    assert "in_force.json is damaged" in caplog.text
    assert given.names() == [["a"], ["a"]]


def test_where_nothing_can_be_written_the_file_is_followed_all_the_same(given: Given) -> None:
    """A replacement needs a place, and says so."""
    given.state.parent.write_text("no directory")

    assert given.names() == [["a"], ["a"]]
    given.give("b")
    assert given.names() == [["b"], ["b"]]
    with pytest.raises(FairleadError, match="writing"):
        given.one.replace(parse(b"r /r"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base_path": "rel/x"}, "Expected model m to have an absolute path or URI; got base_path()=rel/x"),
        ({"base_path": ""}, "Expected model m to have an absolute path or URI; got base_path()="),
        ({"base_path": "gs://bucket/m"}, "model m has the base path gs://bucket/m, which is no directory"),
        ({"platform": "caffe"}, "Model m requests unsupported platform caffe"),
        (
            {"platform": ""},
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::",
        ),
        ({"name": ""}, "'' is not a model name"),
        ({"name": "../m"}, "'../m' is not a model name"),
        ({"name": "other"}, "Illegal to list model other multiple times in config list"),
    ],
)
def test_a_configuration_that_cannot_be_served_is_refused(changes: Mapping[str, str], said: str) -> None:
    """In TensorFlow Serving's words where it has some."""
    other = ModelConfig(name="other", base_path="/other")
    with pytest.raises(FairleadError, match=re.escape(said)) as caught:
        check_configs([other, ModelConfig(**{"name": "m", "base_path": "/m", **changes})])  # type: ignore[arg-type]

    assert caught.value.code is Code.INVALID_ARGUMENT
    check_configs([])
    check_configs([other])


class Server:
    """A manager that follows a configuration, as one process of a server does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.text = b""
        in_force = ConfigInForce(folder / "in_force.json", lambda: self.text, parse)
        self.manager = Manager(
            ConfiguredSource(in_force, quiet_period_s=0.0),
            VersionLoader(Store(folder), {"onnx": OnnxLoader()}),
            metrics=LoadMetrics(Instruments()),
            poll_interval_s=0.01,
        )
        self.control = ConfigReload(in_force, self.manager)

    def put(self, model: str, *versions: int) -> ModelConfig:
        """Versions that answer their own number, and the configuration that asks for all of them."""
        for version in versions:
            directory = self.folder / model / str(version)
            directory.mkdir(parents=True)
            write_digit_model(directory, version)
        return ModelConfig(name=model, base_path=str(self.folder / model), policy=ALL)

    def give(self, *configs: ModelConfig) -> None:
        """Begin with these models."""
        self.text = "".join(f"{config.name} {config.base_path}\n" for config in configs).encode()
        self.manager.start()
        self.wait(lambda: self.manager.readiness().is_ready)

    def reload(self, *configs: ModelConfig, timeout_s: float = 20.0) -> None:
        """Replace the configuration."""
        asyncio.run(self.control.reload(configs, deadline=time.monotonic() + timeout_s))

    def answer(self, target: Target) -> int:
        """The digit that `target` answers now."""
        handle = self.manager.acquire(target)
        try:
            return int(handle.servable.predict({"image": ONE})["probs"].argmax())
        finally:
            handle.release()

    def states(self, model: str) -> dict[int, State]:
        """What its versions are doing."""
        return {status.id.version: status.state for status in self.manager.statuses(model)}

    def wait(self, holds: Callable[[], bool]) -> None:
        """Return once `holds`; fail when it does not in time."""
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline, self.manager.readiness()
            time.sleep(0.005)

    def refusal(self, *configs: ModelConfig, timeout_s: float = 20.0) -> FairleadError:
        """The error that reloading raises."""
        with pytest.raises(FairleadError) as caught:
            self.reload(*configs, timeout_s=timeout_s)
        return caught.value


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server over a folder of models; the test gives it its first configuration."""
    server = Server(tmp_path)
    yield server
    server.manager.stop()


def test_several_models_at_their_own_paths(server: Server) -> None:
    """Each under its own name, the newest version of each unless its policy says otherwise."""
    one, two = server.put("one", 1, 2), server.put("two", 3)
    server.give(one, two)

    assert server.manager.readiness().models == {"one": 2, "two": 3}
    assert (server.answer(Target(model="one")), server.answer(Target(model="two"))) == (2, 3)
    assert server.states("one") == {2: State.AVAILABLE}


def test_a_configuration_replaces_the_one_before(server: Server) -> None:
    """New models answer when the reload returns, others follow their new policies, those left out are unloaded."""
    one, two, three = server.put("one", 1, 2), server.put("two", 3), server.put("three", 4)
    server.give(one, two)
    server.reload(one, three)

    assert server.answer(Target(model="three")) == 4
    server.wait(lambda: server.states("one") == {1: State.AVAILABLE, 2: State.AVAILABLE})
    server.wait(lambda: server.states("two") == {3: State.END})
    assert server.manager.readiness().models == {"one": 2, "three": 4}
    with pytest.raises(FairleadError, match=r"Servable not found for request: Latest\(two\)"):
        server.answer(Target(model="two"))
    server.reload(two)
    assert server.answer(Target(model="two")) == 3


def test_a_label_goes_to_a_version_that_answers(server: Server) -> None:
    """It can be moved, be left where it is though that went, and ends with the configuration that has it."""
    plain = server.put("m", 1, 2)
    server.give(plain)
    server.reload(plain)
    server.wait(lambda: server.states("m") == {1: State.AVAILABLE, 2: State.AVAILABLE})

    def labelled(**labels: int) -> ModelConfig:
        return ModelConfig(name="m", base_path=plain.base_path, policy=ALL, labels=labels)

    def knows_both() -> bool:
        try:
            return server.manager.describe(Target(model="m", label="canary")).version == 2
        except FairleadError:  # the manager has not looked yet
            return False

    server.reload(labelled(stable=1, canary=2))
    server.wait(knows_both)
    assert server.answer(Target(model="m", label="stable")) == 1
    assert server.answer(Target(model="m")) == 2
    error = server.refusal(labelled(stable=9))
    assert (error.code, error.message) == (
        Code.FAILED_PRECONDITION,
        "Request to assign label to version 9 of model m, which is not currently available for inference",
    )
    assert server.answer(Target(model="m", label="stable")) == 1

    (server.folder / "m" / "1").rename(server.folder / "away")
    server.wait(lambda: server.states("m")[1] is State.END)
    with pytest.raises(FairleadError, match=r"Servable not found for request: Specific\(m, 1\)"):
        server.answer(Target(model="m", label="stable"))
    server.reload(labelled(stable=1))
    server.reload(plain)

    def is_forgotten() -> bool:
        with pytest.raises(FairleadError) as refused:
            server.answer(Target(model="m", label="stable"))
        return refused.value.message == "Unrecognized servable version label: stable"

    server.wait(is_forgotten)


def test_a_refused_configuration_changes_nothing(server: Server) -> None:
    """Whatever is wrong with it is found before anything is done."""
    one, two = server.put("one", 1), server.put("two", 2)
    server.give(one)
    refusals = [
        server.refusal(two, two),
        server.refusal(two, ModelConfig(name="three", base_path="rel")),
        server.refusal(two, ModelConfig(name="one", base_path=one.base_path, platform="onnx")),
        server.refusal(ModelConfig(name="two", base_path=two.base_path, labels={"stable": 2})),
    ]

    assert [error.code for error in refusals] == [Code.INVALID_ARGUMENT] * 2 + [Code.FAILED_PRECONDITION] * 2
    assert "Illegal to change a model's platform from tensorflow to onnx" in refusals[2].message
    assert server.manager.readiness().models == {"one": 1}


def test_a_new_model_that_cannot_be_loaded_fails_the_reload(server: Server) -> None:
    """With the reason; the configuration is in force, and the others answer."""
    one, bad = server.put("one", 1), server.put("bad", 2)
    (server.folder / "bad" / "2" / "model.onnx").write_bytes(b"no model")
    server.give(one)
    error = server.refusal(one, bad)

    assert error.code is Code.UNKNOWN
    assert error.message.startswith("1 model(s) did not become available: {bad@2: model.onnx cannot be loaded")
    assert server.answer(Target(model="one")) == 1
    assert server.manager.readiness().models == {"bad": None, "one": 1}


def test_a_reload_is_waited_for_no_longer_than_asked(server: Server) -> None:
    """A model without versions may get some later, and then it is served."""
    one = server.put("one", 1)
    server.give(one)
    later = ModelConfig(name="later", base_path=str(server.folder / "later"))
    error = server.refusal(one, later, timeout_s=0.1)

    assert (error.code, error.message) == (Code.DEADLINE_EXCEEDED, "later did not become available in time")
    assert "No such file" in server.manager.readiness().missing[0]
    (server.folder / "later").mkdir()
    server.wait(lambda: "has no version yet" in server.manager.readiness().missing[0])
    server.put("later", 3)
    server.wait(lambda: server.manager.readiness().models == {"later": 3, "one": 1})
