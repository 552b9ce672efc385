"""One way to a model: admit, pin, decode, check, run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Tensors
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
