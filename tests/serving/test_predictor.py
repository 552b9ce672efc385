"""One way to a model: admit, pin, decode, check, run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.serving.handle import Handle
from fairlead.serving.manager import Manager
from fairlead.serving.predictor import Decode, Prediction, Predictor
from fairlead.serving.status import State
from fairlead.serving.target import Target
from fairlead.telemetry import BatchMetrics
from fairlead.testing import publish_digit

from .conftest import World

IMAGES = np.zeros((3, 28, 28, 1), np.float32)


@pytest.fixture
def predictor(world: World) -> Iterator[Predictor]:
    """Two threads, eight requests held, batches of six rows, over a model that answers 5."""
    publish_digit(world.store, "m", 5)
    world.store.promote(ServableId("m", 1), why="")
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    predictor = Predictor(world.manager, BatchMetrics(world.registry), threads=2, max_in_flight=8, max_batch_rows=6)
    yield predictor
    predictor.close()


def images(_manifest: Manifest) -> Tensors:
    """Three black pictures."""
    return {"image": IMAGES}


async def test_the_answer_says_who_gave_it(predictor: Predictor) -> None:
    """With every output and the number of rows."""
    prediction = await predictor.predict(Target(model="m"), images)

    assert prediction.manifest.id == ServableId("m", 1)
    assert prediction.rows == 3
    assert prediction.outputs["probs"].argmax(axis=1).tolist() == [5, 5, 5]


async def test_bad_inputs_are_refused_before_the_model_sees_them(predictor: Predictor) -> None:
    """By the pinned version's own signature."""
    with pytest.raises(FairleadError, match="has shape") as caught:
        await predictor.predict(Target(model="m"), lambda _: {"image": IMAGES[:, :5]})

    assert caught.value.code is Code.INVALID_ARGUMENT


async def test_a_decoder_that_breaks_lets_its_version_go(predictor: Predictor, world: World) -> None:
    """Whatever happens to a request, nothing stays pinned."""

    def broken(_manifest: Manifest) -> Tensors:
        raise ZeroDivisionError

    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            await predictor.predict(Target(model="m"), broken)

    assert world.manager._models["m"].versions[1].users == 0
    assert (await predictor.predict(Target(model="m"), images)).rows == 3


def held(gate: threading.Event) -> Decode:
    """Three black pictures, once the gate is open."""

    def decode(_manifest: Manifest) -> Tensors:
        assert gate.wait(20)
        return {"image": IMAGES}

    return decode


def batches(world: World) -> tuple[float, float]:
    """How many batches ran, and how many rows in all."""
    count = world.registry.get_sample_value("fairlead_batch_rows_count", {"model": "m"})
    total = world.registry.get_sample_value("fairlead_batch_rows_sum", {"model": "m"})
    return count or 0.0, total or 0.0


async def test_more_requests_than_the_server_holds_are_refused_at_once(predictor: Predictor) -> None:
    """The bound is on requests held; those within it are answered."""
    gate = threading.Event()
    tasks = [asyncio.create_task(predictor.predict(Target(model="m"), held(gate))) for _ in range(8)]
    await asyncio.sleep(0)
    with pytest.raises(FairleadError, match="8 requests are in flight") as caught:
        await predictor.predict(Target(model="m"), images)
    gate.set()

    assert caught.value.code is Code.UNAVAILABLE
    assert [prediction.rows for prediction in await asyncio.gather(*tasks)] == [3] * 8
    assert (await predictor.predict(Target(model="m"), images)).rows == 3


async def test_requests_of_one_turn_run_as_one_batch(predictor: Predictor, world: World) -> None:
    """As far as the batch may be: two of three rows each."""
    await asyncio.gather(*(predictor.predict(Target(model="m"), images) for _ in range(2)))

    assert batches(world) == (1, 6)


async def test_a_request_that_is_alone_runs_alone_and_at_once(predictor: Predictor, world: World) -> None:
    """It waits for nobody: one after the other makes a batch each."""
    for _ in range(3):
        await predictor.predict(Target(model="m"), images)

    assert batches(world) == (3, 9)
    assert world.registry.get_sample_value("fairlead_queue_duration_seconds_count", {"model": "m"}) == 3


async def test_what_waits_while_the_threads_work_runs_together(predictor: Predictor, world: World) -> None:
    """Two batches keep both threads; those that come meanwhile share the next one."""
    gate = threading.Event()
    first = asyncio.create_task(predictor.predict(Target(model="m"), held(gate)))
    await asyncio.sleep(0.01)
    second = asyncio.create_task(predictor.predict(Target(model="m"), held(gate)))
    await asyncio.sleep(0.01)
    later = [asyncio.create_task(predictor.predict(Target(model="m"), images)) for _ in range(2)]
    await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(first, second, *later)

    assert batches(world) == (3, 12)


async def test_one_bad_request_fails_alone(predictor: Predictor) -> None:
    """Its neighbours in the batch are answered."""
    answers = await asyncio.gather(
        predictor.predict(Target(model="m"), images),
        predictor.predict(Target(model="m"), lambda _: {"image": IMAGES[:, :5]}),
        return_exceptions=True,
    )

    assert isinstance(answers[0], Prediction)
    assert isinstance(answers[1], FairleadError)
    assert "has shape" in answers[1].message


async def test_requests_for_other_outputs_and_versions_do_not_mix(predictor: Predictor, world: World) -> None:
    """Each gets what it asked for."""
    publish_digit(world.store, "m", 6)
    world.store.promote(ServableId("m", 2), why="", label="next")
    await asyncio.to_thread(world.wait, lambda: len(world.manager.statuses("m")) == 2)
    await asyncio.to_thread(world.wait, lambda: world.manager.statuses("m", 2)[0].state is State.AVAILABLE)

    stable, labelled, none = await asyncio.gather(
        predictor.predict(Target(model="m"), images),
        predictor.predict(Target(model="m", label="next"), images),
        predictor.predict(Target(model="m"), images, outputs=[]),
    )

    assert stable.outputs["probs"].argmax(axis=1).tolist() == [5, 5, 5]
    assert labelled.outputs["probs"].argmax(axis=1).tolist() == [6, 6, 6]
    assert none.outputs == {}


async def test_a_caller_that_goes_away_unpins_only_when_the_work_is_done(predictor: Predictor, world: World) -> None:
    """A thread never runs on a version that was freed under it, and what still waited is not computed."""
    gate = threading.Event()
    tasks = []
    for _ in range(4):
        tasks.append(asyncio.create_task(predictor.predict(Target(model="m"), held(gate))))
        await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    version = world.manager._models["m"].versions[1]

    assert version.users == 4
    gate.set()
    while version.users:  # noqa: ASYNC110 - the manager is no part of the event loop
        await asyncio.sleep(0.001)
    assert batches(world) == (2, 6)
    assert (await predictor.predict(Target(model="m"), images)).rows == 3
    assert predictor._queues == {}


class Lender:
    """Lends one servable under a manifest, and counts what is not given back."""

    def __init__(self, servable: Servable, manifest: Manifest) -> None:
        self.users = 0
        self._servable = servable
        self._manifest = manifest

    def acquire(self, _target: Target) -> Handle:
        """A handle that counts."""
        self.users += 1
        return Handle(self._servable, self._manifest, self._take_back)

    def _take_back(self) -> None:
        self.users -= 1


class Slow:
    """Echoes what it is given, once its gate is open."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        assert self.gate.wait(20)
        return {"y": inputs["x"]}

    def close(self) -> None:
        """Nothing to free."""


def lending(shape: tuple[int, ...], threads: int) -> tuple[Slow, Lender, Predictor]:
    """A predictor over a slow model whose tensors have this shape."""
    spec = TensorSpec(name="x", dtype="float32", shape=shape)
    manifest = Manifest(
        model="m",
        version=1,
        runtime="none",
        signature=Signature(inputs=(spec,), outputs=(replace(spec, name="y"),)),
        labels=(),
        files={},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    slow = Slow()
    lender = Lender(slow, manifest)
    metrics = BatchMetrics(CollectorRegistry())
    predictor = Predictor(cast("Manager", lender), metrics, threads=threads, max_in_flight=100, max_batch_rows=4)
    return slow, lender, predictor


@pytest.mark.parametrize("shape", [(-1,), (1,)], ids=["batched", "not batched"])
@pytest.mark.parametrize("threads", [1, 2])
async def test_callers_that_go_away_strand_nobody(shape: tuple[int, ...], threads: int) -> None:
    """Whichever of the waiting leave, in a queue that is batched or not, the others are answered."""
    slow, lender, predictor = lending(shape, threads)

    def one(_manifest: Manifest) -> Tensors:
        return {"x": np.ones(1, np.float32)}

    tasks = []
    for turn in range(12):
        tasks.append(asyncio.create_task(predictor.predict(Target(model="m"), one)))
        if turn % 3 == 0:
            await asyncio.sleep(0.002)
    for task in tasks[::2]:
        task.cancel()
    slow.gate.set()
    answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    lone = asyncio.create_task(predictor.predict(Target(model="m"), one))
    await asyncio.sleep(0)
    lone.cancel()
    last = await asyncio.wait_for(predictor.predict(Target(model="m"), one), 20)
    while lender.users:  # noqa: ASYNC110 - given back by the loop's own callbacks
        await asyncio.sleep(0.001)
    predictor.close()

    assert [isinstance(answer, Prediction) for answer in answers[1::2]] == [True] * 6
    assert last.rows == 1
    assert predictor._queues == {}


async def test_a_bug_in_the_batching_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each caller gets the error."""
    _, lender, predictor = lending((-1,), 1)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("fairlead.serving.predictor.run_together", broken)
    tasks = [predictor.predict(Target(model="m"), images) for _ in range(3)]
    answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    predictor.close()

    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 3
    assert lender.users == 0
