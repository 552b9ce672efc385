"""Versions come up beside each other, prove themselves, and leave when nobody holds them."""

from __future__ import annotations

import json
import logging
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.golden import GOLDEN_FILE, Golden
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.runtimes.onnx import OnnxLoader
from fairlead.servable.servable import LoadedModel
from fairlead.serving.assignment import place
from fairlead.serving.loading import VersionLoader
from fairlead.serving.manager import _FIRST_RETRY_S, Manager
from fairlead.serving.source import StoreSource
from fairlead.serving.status import State
from fairlead.serving.target import Target
from fairlead.store.files import digest_file
from fairlead.store.release import Candidate, Mode
from fairlead.telemetry.instruments import Instruments
from fairlead.telemetry.load import LoadMetrics
from fairlead.testing import DIGIT_SIGNATURE, publish_digit

from .conftest import World

PROBABILITIES = {"name": "probs", "dtype": "float32", "shape": [-1, 9]}
ONE = np.zeros((1, 28, 28, 1), np.float32)


def release(world: World, model: str, digit: int) -> int:
    """Publish a model that answers `digit`, and make it stable."""
    version = publish_digit(world.store, model, digit).manifest.version
    world.store.promote(ServableId(model, version), why="")
    return version


def answer(world: World, target: Target) -> int:
    """The digit that `target` answers now."""
    handle = world.manager.acquire(target)
    try:
        return int(handle.servable.predict({"image": ONE})["probs"].argmax())
    finally:
        handle.release()


def state_of(world: World, version: int, model: str = "m") -> State:
    """What the version is doing."""
    return world.manager.statuses(model, version)[0].state


def test_an_empty_store_is_not_ready_and_says_so(world: World) -> None:
    """No model at all is not all models loaded."""
    world.manager.start()
    world.wait(lambda: "no model in the store" in " ".join(world.manager.readiness().missing))

    readiness = world.manager.readiness()

    assert not readiness.is_ready
    assert not readiness.is_started


def test_before_the_first_look_nothing_is_ready(world: World) -> None:
    """Readiness is never assumed."""
    release(world, "m", 3)

    assert not world.manager.readiness().is_ready


def test_the_stable_version_is_loaded_and_answers(world: World) -> None:
    """From an empty process to an answer, without a call but start."""
    release(world, "m", 7)
    world.manager.start()
    world.wait(lambda: world.manager.readiness().is_ready)

    assert answer(world, Target(model="m")) == 7
    assert world.manager.readiness().models == {"m": 1}
    assert world.registry.get_sample_value("fairlead_model_available", {"model": "m", "version": "1"}) == 1
    assert world.registry.get_sample_value("fairlead_release_revision", {"model": "m"}) == 1


def test_a_model_published_later_is_picked_up(world: World) -> None:
    """A server may be there before its first model."""
    world.manager.start()
    release(world, "m", 2)
    world.wait(lambda: world.serving() == 1)

    assert answer(world, Target(model="m")) == 2


def test_without_a_release_the_newest_version_serves(world: World) -> None:
    """A store that nobody promotes in still serves."""
    publish_digit(world.store, "m", 1)
    publish_digit(world.store, "m", 2)
    world.manager.start()
    world.wait(lambda: world.serving() == 2)

    assert answer(world, Target(model="m")) == 2


def test_promotion_and_rollback_are_followed(world: World) -> None:
    """The old version is unloaded once the new one answers, and its series go with it."""
    release(world, "m", 1)
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    release(world, "m", 2)
    world.wait(lambda: world.serving() == 2 and state_of(world, 1) is State.END)

    assert answer(world, Target(model="m")) == 2
    assert world.unloaded == [ServableId("m", 1)]
    assert world.registry.get_sample_value("fairlead_model_available", {"model": "m", "version": "1"}) is None

    world.store.rollback("m", why="")
    world.wait(lambda: world.serving() == 1 and state_of(world, 2) is State.END)
    assert answer(world, Target(model="m")) == 1


def test_a_held_version_is_not_unloaded(world: World) -> None:
    """A request that began on a version ends on it, however long it takes."""
    release(world, "m", 1)
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    handle = world.manager.acquire(Target(model="m"))
    release(world, "m", 2)
    world.wait(lambda: world.serving() == 2 and state_of(world, 1) is State.UNLOADING)

    assert int(handle.servable.predict({"image": ONE})["probs"].argmax()) == 1
    with pytest.raises(FairleadError, match="Specific"):
        world.manager.acquire(Target(model="m", version=1))

    handle.release()
    handle.release()
    world.wait(lambda: state_of(world, 1) is State.END)
    with pytest.raises(FairleadError, match="closed"):
        handle.servable.predict({"image": ONE})


def test_labels_are_loaded_beside_the_stable_version(world: World) -> None:
    """And reached by label or number."""
    release(world, "m", 1)
    publish_digit(world.store, "m", 2)
    world.store.promote(ServableId("m", 2), why="", label="canary")
    world.manager.start()
    world.wait(lambda: world.serving() == 1 and state_of(world, 2) is State.AVAILABLE)

    assert answer(world, Target(model="m")) == 1
    assert answer(world, Target(model="m", label="canary")) == 2
    assert answer(world, Target(model="m", version=2)) == 2


def test_labels_are_told(world: World) -> None:
    """Of a release, with "stable" among them; none of a model that nobody knows."""
    for digit in (1, 2):
        publish_digit(world.store, "m", digit)
    world.store.promote(ServableId("m", 1), why="")
    world.store.promote(ServableId("m", 2), label="next", why="")
    world.manager.start()
    world.wait(lambda: world.manager.labels("m") == {"stable": 1, "next": 2})
    assert world.manager.labels("unknown") == {}


def test_a_damaged_version_leaves_the_old_one_serving_and_says_why(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """In its status, in readiness and in the log; requests notice nothing."""
    release(world, "m", 1)
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    release(world, "m", 2)
    damage = world.store.root / "m" / "2" / "model.onnx"
    world.wait(lambda: world.serving() == 2)
    world.store.rollback("m", why="")
    world.wait(lambda: world.serving() == 1 and state_of(world, 2) is State.END)
    damage.write_bytes(b"not a model")
    with caplog.at_level(logging.ERROR), pytest.raises(FairleadError):
        world.store.promote(ServableId("m", 2), why="")
    forced = world.store.root / "m" / "release.json"
    forced.write_bytes(forced.read_bytes().replace(b'"stable": 1', b'"stable": 2'))
    world.wait(lambda: world.manager.statuses("m", 2)[0].code is Code.DATA_LOSS)

    readiness = world.manager.readiness()

    assert readiness.is_ready
    assert readiness.models == {"m": 1}
    assert "version 2 is END" in readiness.degraded[0]
    assert "SHA-256" in readiness.degraded[0]
    assert "m@2 cannot be served" in caplog.text
    assert answer(world, Target(model="m")) == 1
    assert world.registry.get_sample_value("fairlead_model_load_failures_total", {"model": "m"}) == 1


def test_a_process_that_starts_after_a_bad_release_serves_the_one_before(world: World) -> None:
    """The nearest that can be loaded, and nothing opens before it; the stable version takes over once it is whole."""
    for digit in (1, 2, 3):
        release(world, "m", digit)
    files = [world.store.root / "m" / str(version) / "model.onnx" for version in (2, 3)]
    whole = [file.read_bytes() for file in files]
    for file in files:
        file.write_bytes(b"not a model")
    world.manager.start()
    world.wait(lambda: world.manager.readiness().is_started)

    readiness = world.manager.readiness()
    assert readiness.is_ready
    assert readiness.models == {"m": 1}
    assert "version 3 is END" in readiness.degraded[0]
    assert answer(world, Target(model="m")) == 1
    files[1].write_bytes(whole[1])
    world.wait(lambda: world.serving() == 3 and state_of(world, 1) is State.END)
    assert answer(world, Target(model="m")) == 3
    assert world.manager.readiness().degraded == ()


def test_a_version_that_was_rolled_back_does_not_stand_in(world: World) -> None:
    """A process that starts goes where a rollback would, which is not where the last one came from."""
    release(world, "m", 1)
    release(world, "m", 2)
    world.store.rollback("m", why="")
    (world.store.root / "m" / "1" / "model.onnx").write_bytes(b"not a model")
    world.manager.start()
    world.wait(lambda: world.manager.readiness().is_started)

    assert not world.manager.readiness().is_ready
    assert not world.manager.knows("m", 2)


def test_a_history_that_cannot_be_read_keeps_no_release_from_serving(world: World) -> None:
    """It is needed only where the stable version cannot be loaded."""
    release(world, "m", 1)
    release(world, "m", 2)
    for entry in (world.store.root / "m" / "history").iterdir():
        entry.write_bytes(b"{")
    world.manager.start()
    world.wait(lambda: world.serving() == 2)
    assert world.manager.readiness().degraded == ()


def test_a_version_that_does_not_reproduce_its_golden_outputs_is_refused(world: World) -> None:
    """Even when every digest is right."""
    release(world, "m", 1)
    directory = world.store.root / "m" / "1"
    golden = Golden.load(directory / GOLDEN_FILE)
    Golden(inputs=golden.inputs, outputs={"probs": golden.outputs["probs"] + 0.01}).save(directory / GOLDEN_FILE)
    manifest = Manifest.decode((directory / "manifest.json").read_bytes())
    digests = {**manifest.files, GOLDEN_FILE: digest_file(directory / GOLDEN_FILE)}
    (directory / "manifest.json").write_bytes(replace(manifest, files=digests).encode())
    world.manager.start()
    world.wait(lambda: world.manager.readiness().is_started)

    readiness = world.manager.readiness()

    assert not readiness.is_ready
    assert "golden output 'probs' differs by 0.01" in readiness.missing[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"runtime": "cobol"}, "needs the runtime 'cobol'; this process has onnx"),
        ({"files": {}}, "its manifest lists"),
        ({"signature": {**DIGIT_SIGNATURE.to_json(), "outputs": [PROBABILITIES]}}, "m@1 has the signatures {'serving_"),
    ],
)
def test_a_version_this_process_cannot_run_says_why(world: World, change: dict[str, object], reason: str) -> None:
    """An unknown runtime and a version without proof are refused by name."""
    release(world, "m", 1)
    path = world.store.root / "m" / "1" / "manifest.json"
    body = {**json.loads(path.read_bytes()), **change}
    del body["seal"]
    path.write_text(json.dumps(body))
    world.manager.start()
    world.wait(lambda: world.manager.readiness().is_started)

    assert reason in world.manager.readiness().missing[0]


def test_a_version_without_golden_outputs_is_refused(world: World) -> None:
    """There is nothing that would show that it still computes what it was trained to."""
    source = publish_digit(world.store, "other", 1)

    def describe(version: int, files: object) -> Manifest:
        return Manifest(
            model="m",
            version=version,
            runtime="onnx",
            signature=source.manifest.signature,
            labels=(),
            files=dict(files),  # type: ignore[call-overload] # the store passes a mapping
            created_at=source.manifest.created_at,
        )

    world.store.publish("m", {"model.onnx": source.directory / "model.onnx"}, describe)
    shutil.rmtree(world.store.root / "other")
    world.manager.start()
    world.wait(lambda: world.manager.readiness().is_started)

    assert "m@1 has no golden.npz" in world.manager.readiness().missing[0]


def test_one_broken_model_takes_no_other_down(world: World) -> None:
    """The sound one answers; readiness names the broken one, since both are required."""
    release(world, "good", 4)
    release(world, "bad", 5)
    (world.store.root / "bad" / "1" / "model.onnx").unlink()
    world.manager.start()
    world.wait(lambda: world.serving("good") == 1 and world.manager.readiness().is_started)

    readiness = world.manager.readiness()

    assert not readiness.is_ready
    assert readiness.models == {"bad": None, "good": 1}
    assert [line.split(":")[0] for line in readiness.missing] == ["bad"]
    assert answer(world, Target(model="good")) == 4


def test_a_required_model_that_is_not_there_is_missing(world: World) -> None:
    """A server that was told to serve it does not call itself ready without it."""
    release(world, "m", 1)
    manager = Manager(
        StoreSource(world.store, ["m", "nosuch"]),
        VersionLoader(world.store, {"onnx": OnnxLoader()}),
        metrics=LoadMetrics(Instruments()),
        poll_interval_s=0.01,
    )
    manager.start()
    world.wait(lambda: manager.readiness().models == {"m": 1, "nosuch": None})

    readiness = manager.readiness()
    manager.stop()

    assert not readiness.is_ready
    assert readiness.missing == ("nosuch: the store has no version of it yet",)


def test_a_loader_that_breaks_is_an_error_of_its_version_alone(world: World) -> None:
    """Whatever it raises is told in the status, and the manager goes on."""

    class Broken:
        def load(self, directory: Path) -> LoadedModel:
            raise ZeroDivisionError("by a bug")

    release(world, "m", 1)
    manager = Manager(
        StoreSource(world.store),
        VersionLoader(world.store, {"onnx": Broken()}),
        metrics=LoadMetrics(Instruments()),
        poll_interval_s=0.01,
    )
    manager.start()
    world.wait(lambda: manager.readiness().is_started)

    status = manager.statuses("m")[0]
    manager.stop()

    assert (status.state, status.code) == (State.END, Code.INTERNAL)
    assert status.message == "ZeroDivisionError: by a bug"


def test_a_failed_load_is_tried_again_and_then_succeeds(world: World) -> None:
    """After the first back-off a version that was mended comes up by itself."""
    release(world, "m", 6)
    path = world.store.root / "m" / "1" / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    world.manager.start()
    world.wait(lambda: world.manager.readiness().is_started)
    assert state_of(world, 1) is State.END
    path.write_bytes(whole)
    world.wait(lambda: world.serving() == 1, timeout_s=_FIRST_RETRY_S + 10)

    assert answer(world, Target(model="m")) == 6
    assert world.manager.statuses("m")[0].code is None
    assert world.manager.readiness().degraded == ()


def test_a_damaged_release_takes_nothing_down(world: World) -> None:
    """What was read before holds until a release can be read again."""
    release(world, "m", 1)
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    path = world.store.root / "m" / "release.json"
    whole = path.read_bytes()
    path.write_bytes(b"{")
    world.wait(lambda: world.manager.readiness().degraded != ())

    assert "is not a release" in world.manager.readiness().degraded[0]
    assert world.manager.readiness().is_ready
    assert answer(world, Target(model="m")) == 1
    path.write_bytes(whole)
    world.wait(lambda: world.manager.readiness().degraded == ())


def test_a_store_that_vanishes_takes_nothing_down(world: World) -> None:
    """A mount that is gone for a while is no reason to stop answering."""
    release(world, "m", 1)
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    away = world.store.root.with_name("away")
    world.store.root.rename(away)
    looks = iter(range(5))
    world.wait(lambda: next(looks, None) is None)

    assert answer(world, Target(model="m")) == 1
    assert world.manager.readiness().is_ready
    away.rename(world.store.root)


def test_statuses_are_told_newest_first_and_ended_versions_stay_listed(world: World) -> None:
    """As TensorFlow Serving lists them."""
    for digit in (1, 2, 3):
        release(world, "m", digit)
        if digit == 1:
            world.manager.start()
        world.wait(lambda digit=digit: world.serving() == digit)  # type: ignore[misc] # bound now, not later
    world.wait(lambda: state_of(world, 2) is State.END)

    statuses = world.manager.statuses("m")

    assert [(status.id.version, status.state) for status in statuses] == [
        (3, State.AVAILABLE),
        (2, State.END),
        (1, State.END),
    ]


def test_unknown_models_and_versions_are_not_found(world: World) -> None:
    """In TensorFlow Serving's words."""
    release(world, "m", 1)
    world.manager.start()
    world.wait(lambda: world.serving() == 1)

    with pytest.raises(FairleadError, match="Could not find any versions of model nope"):
        world.manager.statuses("nope")
    with pytest.raises(FairleadError, match="Could not find version 9 of model m"):
        world.manager.statuses("m", 9)
    with pytest.raises(FairleadError, match="Servable not found for request: Specific"):
        world.manager.describe(Target(model="m", version=9))


def test_the_default_model_is_the_only_one(world: World) -> None:
    """With two there is none, and the error lists them."""
    with pytest.raises(FairleadError, match="no model is served yet"):
        world.manager.default_model()
    release(world, "a", 1)
    world.manager.start()
    world.wait(lambda: world.serving("a") == 1)
    assert world.manager.default_model() == "a"
    release(world, "b", 1)
    world.wait(lambda: world.serving("b") == 1)

    with pytest.raises(FairleadError, match="2 models are served") as caught:
        world.manager.default_model()

    assert "a, b" in caught.value.hint


def test_a_version_that_is_up_already_when_it_becomes_stable_stands_in_later(world: World) -> None:
    """From a label to stable and away again: at no moment does nobody answer."""
    release(world, "m", 1)
    publish_digit(world.store, "m", 2)
    world.store.promote(ServableId("m", 2), why="", label="canary")
    world.manager.start()
    world.wait(lambda: world.serving() == 1 and state_of(world, 2) is State.AVAILABLE)
    world.store.promote(ServableId("m", 2), why="")
    world.wait(lambda: world.serving() == 2 and state_of(world, 1) is State.END)
    (world.store.root / "m" / "1" / "model.onnx").rename(world.store.root.parent / "aside")
    forced = world.store.root / "m" / "release.json"
    forced.write_bytes(forced.read_bytes().replace(b'"stable": 2', b'"stable": 1'))
    world.wait(lambda: world.manager.statuses("m", 1)[0].code is Code.DATA_LOSS)

    assert answer(world, Target(model="m")) == 2


def test_a_hundred_swaps_leave_no_version_behind(world: World) -> None:
    """What is replaced is closed, each exactly once."""
    release(world, "m", 1)
    publish_digit(world.store, "m", 2)
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    for turn in range(100):
        version = 2 - turn % 2
        world.store.rollback("m", why="", to=version)
        world.wait(lambda version=version: world.serving() == version)  # type: ignore[misc] # bound now, not later
    world.wait(lambda: state_of(world, 2) is State.END)

    # A version that comes back before its memory was given away is not loaded again.
    loads = world.registry.get_sample_value("fairlead_model_load_duration_seconds_count", {"model": "m"})
    assert loads == len(world.unloaded) + 1
    assert state_of(world, 1) is State.AVAILABLE


def canary(version: int, weight: float, mode: Mode = Mode.CANARY) -> Candidate:
    """A version that is tried with that weight."""
    return Candidate(version=version, mode=mode, weight=weight, salt="s")


def arms(world: World, keys: int = 400, target: Target | None = None) -> Counter[tuple[int, str, bool]]:
    """How often each version answers for so many keys, in which arm, and whether a copy goes along."""
    found: Counter[tuple[int, str, bool]] = Counter()
    for key in range(keys):
        handle = world.manager.acquire(target or Target(model="m"), str(key))
        found[handle.manifest.version, handle.arm, handle.shadow is not None] += 1
        if handle.shadow is not None:
            assert (handle.shadow.manifest.version, handle.shadow.arm) == (2, "shadow")
            handle.shadow.release()
        handle.release()
    return found


def tried(world: World, candidate: Candidate) -> None:
    """Two versions of m, the first stable and the second tried, both loaded."""
    for digit in (3, 7):
        publish_digit(world.store, "m", digit)
    world.store.promote(ServableId("m", 1), why="")
    world.store.try_candidate("m", candidate, why="")
    world.manager.start()
    world.wait(lambda: world.serving() == 1 and state_of(world, 2) is State.AVAILABLE)


def test_a_canary_gets_its_share(world: World) -> None:
    """Callers who name no version are dealt out by their keys; who names one gets it, in no arm."""
    tried(world, canary(2, 0.25))

    shares = arms(world)

    assert set(shares) == {(1, "stable", False), (2, "candidate", False)}
    assert 70 < shares[2, "candidate", False] < 130
    assert arms(world, 20, Target(model="m", version=2)) == {(2, "", False): 20}
    assert arms(world, 20, Target(model="m", label="stable")) == {(1, "", False): 20}


def test_a_key_stays_as_the_weight_grows(world: World) -> None:
    """Whoever the candidate answered with a small weight it answers with a larger one."""
    tried(world, canary(2, 0.1))
    before = {key for key in range(400) if place("s", str(key)) < 0.1}

    world.store.try_candidate("m", canary(2, 0.6), why="")
    world.wait(lambda: arms(world)[2, "candidate", False] > 200)

    for key in before:
        handle = world.manager.acquire(Target(model="m"), str(key))
        assert handle.arm == "candidate"
        handle.release()


def test_a_shadow_answers_nobody(world: World) -> None:
    """The stable version answers every caller; the share of the weight is copied."""
    tried(world, canary(2, 0.5, Mode.SHADOW))

    shares = arms(world)

    assert set(shares) == {(1, "stable", True), (1, "stable", False)}
    assert 150 < shares[1, "stable", True] < 250


def test_a_candidate_that_is_not_up_gets_nothing(world: World) -> None:
    """Until the candidate has proven itself, and when it cannot, the stable version answers everybody."""
    for digit in (3, 7):
        publish_digit(world.store, "m", digit)
    world.store.promote(ServableId("m", 1), why="")
    world.store.try_candidate("m", canary(2, 1.0), why="")
    (world.store.root / "m" / "2" / "model.onnx").write_bytes(b"damaged")
    world.manager.start()
    world.wait(lambda: world.serving() == 1)

    assert arms(world, 50) == {(1, "stable", False): 50}
    assert world.manager.readiness().is_ready


def test_an_ended_trial_ends_for_everybody(world: World) -> None:
    """Once the release names no candidate, all are answered by the stable version and the candidate is unloaded."""
    tried(world, canary(2, 0.5))

    world.store.try_candidate("m", None, why="")
    world.wait(lambda: ServableId("m", 2) in world.unloaded)

    assert arms(world, 50) == {(1, "stable", False): 50}
