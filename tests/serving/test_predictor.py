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
from fairlead.serving.predictor import Predictor
from fairlead.serving.target import Target
from fairlead.testing import publish_digit

from .conftest import World

IMAGES = np.zeros((3, 28, 28, 1), np.float32)


@pytest.fixture
def predictor(world: World) -> Iterator[Predictor]:
    """A predictor of two threads that holds four requests, over a model that answers 5."""
    publish_digit(world.store, "m", 5)
    world.store.promote(ServableId("m", 1), why="")
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    predictor = Predictor(world.manager, threads=2, max_in_flight=4)
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


async def test_more_requests_than_the_server_holds_are_refused_at_once(predictor: Predictor) -> None:
    """The bound is on requests held; those within it are answered."""
    may_go = threading.Event()

    def slow(_manifest: Manifest) -> Tensors:
        assert may_go.wait(20)
        return {"image": IMAGES}

    held = [asyncio.create_task(predictor.predict(Target(model="m"), slow)) for _ in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(FairleadError, match="4 requests are in flight") as caught:
        await predictor.predict(Target(model="m"), images)
    may_go.set()

    assert caught.value.code is Code.UNAVAILABLE
    assert [prediction.rows for prediction in await asyncio.gather(*held)] == [3, 3, 3, 3]
    assert (await predictor.predict(Target(model="m"), images)).rows == 3


async def test_a_caller_that_goes_away_unpins_only_when_the_work_is_done(predictor: Predictor, world: World) -> None:
    """A thread never runs on a version that was freed under it, and queued work is dropped."""
    began, may_go = threading.Event(), threading.Event()

    def slow(_manifest: Manifest) -> Tensors:
        began.set()
        assert may_go.wait(20)
        return {"image": IMAGES}

    tasks = [asyncio.create_task(predictor.predict(Target(model="m"), slow)) for _ in range(4)]
    await asyncio.to_thread(began.wait, 20)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    version = world.manager._models["m"].versions[1]

    assert 1 <= version.users <= 2
    may_go.set()
    await asyncio.to_thread(world.wait, lambda: version.users == 0)
    assert (await predictor.predict(Target(model="m"), images)).rows == 3
