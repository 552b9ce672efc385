"""Requests meet in batches, each is answered as if alone, and nothing is computed for nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fairlead.serving.predictor
from fairlead.errors import Code, FairleadError, OverloadError
from fairlead.servable.identity import ServableId
from fairlead.servable.manifest import Manifest
from fairlead.servable.signature import Array, Signature, Tensors, TensorSpec
from fairlead.serving.handle import Handle
from fairlead.serving.manager import Manager
from fairlead.serving.predictor import Decode, Prediction, Predictor
from fairlead.serving.statistics import Statistics
from fairlead.serving.status import State
from fairlead.serving.target import Target
from fairlead.telemetry.batches import BatchMetrics
from fairlead.telemetry.exposition import registry_of
from fairlead.telemetry.instruments import Instruments
from fairlead.testing import publish_digit

from .conftest import World

X = TensorSpec(name="x", dtype="float32", shape=(-1, -1))
M = Target(model="m")


@dataclass
class Model:
    """Gives back what it is given, once its gate is open; notes the rows of each run and refuses a 13."""

    gate: threading.Event = field(default_factory=threading.Event)
    runs: list[int] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    __hash__ = object.__hash__

    def predict(self, inputs: Tensors, outputs: Collection[str] | None = None) -> dict[str, Array]:
        self.threads.add(threading.get_ident())
        self.runs.append(len(inputs["x"]) if inputs["x"].ndim else 1)
        assert self.gate.wait(20)
        if (inputs["x"] == 13).any():
            raise FairleadError(Code.INVALID_ARGUMENT, "thirteen")
        return {"y": inputs["x"]} if outputs is None or "y" in outputs else {}

    def close(self) -> None:
        """Nothing to free."""


class Lender:
    """Lends one model at a time, and counts how often, and what is not given back."""

    def __init__(self, model: Model, spec: TensorSpec) -> None:
        self.users = self.lent = 0
        self.model = model
        self.is_tried = False
        self._manifest = Manifest(
            model="m",
            version=1,
            runtime="none",
            signature=Signature(inputs=(spec,), outputs=(replace(spec, name="y"),)),
            labels=(),
            files={},
            created_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    def acquire(self, _target: Target, _key: str = "") -> Handle:
        """A handle that counts."""
        self.users += 1
        self.lent += 1
        return Handle(self.model, self._manifest, self._take_back, is_tried=self.is_tried)

    def _take_back(self) -> None:
        self.users -= 1


@dataclass
class Bench:
    """A predictor over a model whose gate is shut."""

    threads: int = 1
    spec: TensorSpec = X
    max_in_flight: int = 100
    max_batch_rows: int | None = 4
    max_batch_delay_s: float = 0.0
    max_queue_s: float = 100.0
    max_rows: int = 10_000

    def __post_init__(self) -> None:
        self.model = Model()
        self.lender = Lender(self.model, self.spec)
        instruments = Instruments()
        self.statistics = Statistics(instruments)
        self.registry = registry_of(instruments)
        self.predictor = Predictor(
            cast("Manager", self.lender),
            BatchMetrics(instruments),
            self.statistics,
            threads=self.threads,
            max_in_flight=self.max_in_flight,
            max_batch_rows=self.max_batch_rows,
            max_batch_delay_s=self.max_batch_delay_s,
            max_queue_s=self.max_queue_s,
            max_rows=self.max_rows,
        )

    def ask(self, rows: int = 1, value: float = 1.0, **how: float) -> asyncio.Task[Prediction]:
        """A request under way."""
        decode = giving(np.full((rows, 2), value, np.float32))
        return asyncio.create_task(self.predictor.predict(M, decode, **how))  # type: ignore[arg-type] # deadline, size

    def counted(self, name: str, **labels: str) -> float:
        """The value of a series of the model's."""
        return self.registry.get_sample_value(name, {"model": "m", "version": "1", **labels}) or 0.0

    async def all_back(self) -> None:
        """Return once every handle was given back."""
        while self.lender.users:  # noqa: ASYNC110 - given back by the loop's own callbacks
            await asyncio.sleep(0.001)


def giving(array: Array) -> Decode:
    """A decoder that gives this."""
    return lambda _manifest: {"x": array}


async def turn(seconds: float = 0.01) -> None:
    """Let the loop and the threads do what they are at."""
    await asyncio.sleep(seconds)


# -- over a real model ---------------------------------------------------------------------------------------------

IMAGES = np.zeros((3, 28, 28, 1), np.float32)


@pytest.fixture
async def predictor(world: World) -> AsyncIterator[Predictor]:
    """Over a model that answers 5."""
    publish_digit(world.store, "m", 5)
    world.store.promote(ServableId("m", 1), why="")
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    instruments = Instruments()
    metrics, statistics = BatchMetrics(instruments), Statistics(instruments)
    predictor = Predictor(world.manager, metrics, statistics, threads=2, max_in_flight=8)
    yield predictor
    predictor.close()


def images(_manifest: Manifest) -> Tensors:
    """Three black pictures."""
    return {"image": IMAGES}


async def test_the_answer_says_who_gave_it(predictor: Predictor) -> None:
    """With every output and the number of rows."""
    prediction = await predictor.predict(M, images)

    assert prediction.manifest.id == ServableId("m", 1)
    assert prediction.rows == 3
    assert prediction.outputs["probs"].argmax(axis=1).tolist() == [5, 5, 5]


async def test_bad_inputs_are_refused_before_the_model_sees_them(predictor: Predictor) -> None:
    """By the pinned version's own signature."""
    with pytest.raises(FairleadError, match="has shape") as caught:
        await predictor.predict(M, lambda _: {"image": IMAGES[:, :5]})

    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("size", [0, 2**21], ids=["in the loop", "beside it"])
async def test_a_decoder_that_breaks_lets_its_version_go(predictor: Predictor, world: World, size: int) -> None:
    """Whatever happens to a request, nothing stays pinned."""

    def broken(_manifest: Manifest) -> Tensors:
        raise ZeroDivisionError

    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            await predictor.predict(M, broken, size=size)

    assert world.manager._models["m"].versions[1].users == 0
    assert (await predictor.predict(M, images, size=size)).rows == 3


async def test_requests_for_other_outputs_and_versions_do_not_mix(predictor: Predictor, world: World) -> None:
    """Each gets what it asked for."""
    publish_digit(world.store, "m", 6)
    world.store.promote(ServableId("m", 2), why="", label="next")
    await asyncio.to_thread(world.wait, lambda: len(world.manager.statuses("m")) == 2)
    await asyncio.to_thread(world.wait, lambda: world.manager.statuses("m", 2)[0].state is State.AVAILABLE)

    stable, labelled, none = await asyncio.gather(
        predictor.predict(M, images),
        predictor.predict(Target(model="m", label="next"), images),
        predictor.predict(M, images, outputs=[]),
    )

    assert stable.outputs["probs"].argmax(axis=1).tolist() == [5, 5, 5]
    assert labelled.outputs["probs"].argmax(axis=1).tolist() == [6, 6, 6]
    assert none.outputs == {}


# -- how batches come about ----------------------------------------------------------------------------------------


async def test_requests_of_one_turn_run_as_one_batch() -> None:
    """As far as the batch may be: of five rows four, then one."""
    bench = Bench()
    bench.model.gate.set()
    await asyncio.gather(*(bench.ask() for _ in range(5)))

    assert bench.model.runs == [4, 1]
    assert bench.counted("fairlead_batches_total", reason="full") == 1
    assert bench.counted("fairlead_batches_total", reason="free") == 1


async def test_a_request_that_is_alone_runs_alone_and_at_once() -> None:
    """It waits for nobody: one after the other makes a batch each."""
    bench = Bench()
    bench.model.gate.set()
    for _ in range(3):
        await bench.ask(2)

    assert bench.model.runs == [2, 2, 2]
    reasons = {reason: bench.counted("fairlead_batches_total", reason=reason) for reason in ("turn", "full", "free")}
    assert reasons == {"turn": 3, "full": 0, "free": 0}
    assert bench.counted("fairlead_batch_rows_sum") == 6
    assert bench.counted("fairlead_queue_duration_seconds_count", label="") == 3
    assert bench.counted("fairlead_compute_duration_seconds_count", label="") == 3


async def test_what_waits_while_the_threads_work_runs_together() -> None:
    """Two batches keep both threads; those that come meanwhile share the next one."""
    bench = Bench(threads=2)
    tasks = []
    for _ in range(2):
        tasks.append(bench.ask())
        await turn()
    tasks += [bench.ask() for _ in range(3)]
    await turn()
    bench.model.gate.set()
    await asyncio.gather(*tasks)

    assert bench.model.runs == [1, 1, 3]


async def test_what_waits_is_shown_when_somebody_comes_by() -> None:
    """How many requests, how long the first has, and how much of what the server may hold is held."""
    bench = Bench(threads=1, max_in_flight=8)
    bench.predictor.show_waiting()
    assert bench.registry.get_sample_value("fairlead_saturation") == 0
    tasks = [bench.ask()]
    await turn()
    tasks += [bench.ask(rows=2) for _ in range(3)]
    await turn(0.05)
    bench.predictor.show_waiting()

    assert bench.counted("fairlead_queue_depth") == 3
    assert 0.05 <= bench.counted("fairlead_queue_age_seconds") < 5
    assert bench.registry.get_sample_value("fairlead_saturation") == 0.5
    bench.model.gate.set()
    await asyncio.gather(*tasks)
    bench.predictor.show_waiting()
    assert bench.counted("fairlead_queue_depth") == bench.counted("fairlead_queue_age_seconds") == 0
    assert bench.registry.get_sample_value("fairlead_saturation") == 0


async def test_short_runs_are_done_in_the_loop_and_long_ones_are_not() -> None:
    """The first run, whose length nobody knows, is long."""
    bench = Bench()
    bench.model.gate.set()
    await bench.ask()
    assert threading.get_ident() not in bench.model.threads
    await bench.ask()
    assert threading.get_ident() in bench.model.threads

    bench.model.threads.clear()
    next(iter(bench.predictor._lanes.values())).pace_s = 1.0
    await bench.ask()

    assert threading.get_ident() not in bench.model.threads


async def test_the_loop_turns_between_two_batches() -> None:
    """Answers leave before the next run begins, however much waits."""
    bench = Bench()
    bench.model.gate.set()
    await bench.ask()

    async def runs_when_answered() -> int:
        await bench.predictor.predict(M, giving(np.ones((1, 2), np.float32)))
        return len(bench.model.runs)

    assert await asyncio.gather(*(runs_when_answered() for _ in range(12))) == [2] * 4 + [3] * 4 + [4] * 4


async def test_a_large_request_is_run_in_parts() -> None:
    """Its caller sees one answer."""
    bench = Bench()
    bench.model.gate.set()
    prediction = await bench.ask(10)

    assert prediction.outputs["y"].shape == (10, 2)
    assert bench.model.runs == [3, 3, 4]


async def test_rows_of_other_shapes_run_apart() -> None:
    """Nothing is padded."""
    bench = Bench()
    bench.model.gate.set()
    arrays = [np.ones((1, width), np.float32) for width in (2, 3, 2)]
    answers = await asyncio.gather(*(bench.predictor.predict(M, giving(array)) for array in arrays))

    assert bench.model.runs == [2, 1]
    assert [answer.outputs["y"].shape for answer in answers] == [(1, 2), (1, 3), (1, 2)]


@pytest.mark.parametrize("shape", [(3,), ()])
async def test_what_has_no_batch_runs_alone_and_whole(shape: tuple[int, ...]) -> None:
    """An axis of fixed length is no batch, however long, and a scalar has none."""
    bench = Bench(spec=replace(X, shape=shape), max_batch_rows=2)
    bench.model.gate.set()
    decode = giving(np.ones(shape, np.float32))
    answers = await asyncio.gather(*(bench.predictor.predict(M, decode) for _ in range(3)))

    assert len(bench.model.runs) == 3
    assert [answer.outputs["y"].shape for answer in answers] == [shape] * 3


async def test_a_batch_waits_for_company_when_it_was_told_to() -> None:
    """Until its time has come, or it is full."""
    bench = Bench(max_batch_delay_s=0.05)
    bench.model.gate.set()
    first = bench.ask()
    await turn()
    second = bench.ask()
    await asyncio.gather(first, second)
    assert bench.model.runs == [2]

    bench = Bench(max_batch_delay_s=30.0)
    bench.model.gate.set()
    tasks = [bench.ask()]
    await turn()
    tasks += [bench.ask() for _ in range(3)]
    await asyncio.wait_for(asyncio.gather(*tasks), 10)
    assert bench.model.runs == [4]


async def test_the_size_of_a_batch_follows_the_pace() -> None:
    """About six milliseconds of work, a power of two from 4 to 256."""
    bench = Bench(max_batch_rows=None)
    bench.model.gate.set()
    await bench.ask()
    (lane,) = bench.predictor._lanes.values()
    sizes = []
    for pace in (1e-7, 1e-4, 0.00025, 1.0):
        lane.pace_s = pace
        sizes.append(lane.max_rows)

    assert sizes == [256, 32, 16, 4]


@settings(deadline=None)  # each example starts a thread
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 3), st.booleans()), min_size=1, max_size=12))
def test_every_request_gets_its_own_rows(requests: list[tuple[int, int, bool]]) -> None:
    """Whatever the mix of sizes and shapes, and whoever is poisoned."""
    arrays = []
    for seed, (rows, width, is_poisoned) in enumerate(requests):
        array = np.random.default_rng([rows, width, seed]).random((rows, width), np.float32)
        array[0, 0] = 13 if is_poisoned else array[0, 0]
        arrays.append(array)

    async def run() -> list[Prediction | BaseException]:
        bench = Bench()
        bench.model.gate.set()
        asked = [bench.predictor.predict(M, giving(array)) for array in arrays]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert bench.lender.users == 0
        assert max(bench.model.runs) <= 4
        bench.predictor.close()
        return answers

    for answer, array, (_, _, is_poisoned) in zip(asyncio.run(run()), arrays, requests, strict=True):
        if is_poisoned:
            assert isinstance(answer, FairleadError)
            assert answer.message == "thirteen"
        else:
            assert isinstance(answer, Prediction)
            np.testing.assert_array_equal(answer.outputs["y"], array)


# -- who may wait, and for how long --------------------------------------------------------------------------------


async def test_more_requests_than_the_server_holds_are_refused_at_once() -> None:
    """The bound is on requests held; those within it are answered."""
    bench = Bench(max_in_flight=8)
    tasks = [bench.ask() for _ in range(8)]
    await turn()
    with pytest.raises(FairleadError, match="8 requests are in flight") as caught:
        await bench.ask()
    bench.model.gate.set()

    assert isinstance(caught.value, OverloadError)
    assert caught.value.reason == "in_flight"
    assert [prediction.rows for prediction in await asyncio.gather(*tasks)] == [1] * 8
    assert (await bench.ask()).rows == 1


async def test_what_would_wait_too_long_is_refused_at_once() -> None:
    """By the version's pace and the rows before it; the version is not even borrowed for that."""
    bench = Bench(max_queue_s=1.0)
    bench.model.gate.set()
    await bench.ask()
    bench.model.gate.clear()
    (lane,) = bench.predictor._lanes.values()
    lane.pace_s = 0.3
    tasks = [bench.ask()]
    await turn()
    tasks += [bench.ask(4)]
    await turn()
    lent = bench.lender.lent
    with pytest.raises(FairleadError, match=r"4 rows wait already, 1.2 s of work") as caught:
        await bench.ask()
    assert bench.lender.lent == lent
    bench.model.gate.set()
    await asyncio.gather(*tasks)

    assert isinstance(caught.value, OverloadError)
    assert caught.value.reason == "queue"
    assert (await bench.ask()).rows == 1
    assert bench.lender.users == 0


async def test_while_a_candidate_is_tried_each_waits_for_its_own_version() -> None:
    """A long queue before one of them is nothing to those whom the other answers."""
    bench = Bench(max_queue_s=1.0)
    bench.lender.is_tried = True
    stable, candidate = bench.model, Model()
    for model in (candidate, stable):
        bench.lender.model = model
        model.gate.set()
        await bench.ask()
    stable.gate.clear()
    bench.predictor._lanes[id(stable)].pace_s = 0.3
    tasks = [bench.ask()]
    await turn()
    tasks += [bench.ask(4)]
    await turn()
    bench.lender.model = candidate
    assert (await bench.ask()).rows == 1  # a short run, in the loop: the thread is the other's
    bench.lender.model = stable
    with pytest.raises(OverloadError):
        await bench.ask()
    stable.gate.set()
    await asyncio.gather(*tasks)


async def test_a_request_whose_time_is_over_is_not_computed() -> None:
    """It is told as soon as its deadline passes, not when its turn would come."""
    bench = Bench()
    first = bench.ask()
    await turn()
    late = bench.ask(deadline=time.monotonic() + 0.05)
    with pytest.raises(FairleadError) as caught:
        await asyncio.wait_for(late, 10)
    assert not first.done()
    bench.model.gate.set()
    await first
    await bench.all_back()

    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert bench.model.runs == [1]


async def test_a_deadline_that_has_passed_already_is_too_late() -> None:
    """Before the loop has found time for any timer."""
    bench = Bench()
    bench.model.gate.set()
    with pytest.raises(FairleadError) as caught:
        await bench.ask(deadline=time.monotonic() - 1)
    await bench.all_back()

    assert caught.value.code is Code.DEADLINE_EXCEEDED
    assert bench.model.runs == []


@pytest.mark.parametrize("shape", [(-1, -1), (1, 2)], ids=["batched", "not batched"])
@pytest.mark.parametrize("threads", [1, 2])
async def test_callers_that_go_away_strand_nobody(shape: tuple[int, ...], threads: int) -> None:
    """Whichever of the waiting leave, in a lane that is batched or not, the others are answered."""
    bench = Bench(threads=threads, spec=replace(X, shape=shape))
    tasks = []
    for number in range(12):
        tasks.append(bench.ask())
        if number % 3 == 0:
            await turn(0.002)
    for task in tasks[::2]:
        task.cancel()
    bench.model.gate.set()
    answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    lone = bench.ask()
    await asyncio.sleep(0)
    lone.cancel()
    last = await asyncio.wait_for(bench.ask(), 20)
    await bench.all_back()

    assert [isinstance(answer, Prediction) for answer in answers[1::2]] == [True] * 6
    assert last.rows == 1


async def test_a_caller_that_goes_away_unpins_only_when_the_work_is_done() -> None:
    """A thread never runs on a version that was freed under it, and what still waited is not computed."""
    bench = Bench()
    tasks = [bench.ask()]
    await turn()
    tasks += [bench.ask() for _ in range(3)]
    await turn()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert bench.lender.users == 4
    bench.model.gate.set()
    await bench.all_back()
    assert bench.model.runs == [1]


@pytest.mark.skipif(not fairlead.serving.predictor.__file__.endswith(".py"), reason="what is compiled stays as it is")
async def test_a_bug_in_the_batching_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each caller gets the error."""
    bench = Bench()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("fairlead.serving.predictor.run_together", broken)
    answers = await asyncio.wait_for(asyncio.gather(*(bench.ask() for _ in range(3)), return_exceptions=True), 20)

    assert [type(answer) for answer in answers] == [ZeroDivisionError] * 3
    assert bench.lender.users == 0


# -- figures -------------------------------------------------------------------------------------------------------


async def test_batches_are_in_the_statistics() -> None:
    """Requests that were answered and refused, and answers that are no numbers, are told of."""
    bench = Bench()
    bench.model.gate.set()
    asked = [bench.ask(2), bench.ask(1, value=13.0), bench.ask(1, value=np.inf)]
    await asyncio.gather(*asked, return_exceptions=True)
    figures = bench.statistics.read([ServableId("m", 1)])[ServableId("m", 1)]
    assert (figures.rows, figures.success.count, figures.fail.count) == (3, 2, 1)
    assert figures.batches.keys() == {4}
    assert bench.counted("fairlead_nonfinite_outputs_total") == 1


async def test_a_request_has_so_many_rows_at_most() -> None:
    """One with more is refused before it waits, and the setting is named; without a batch there are none to count."""
    bench = Bench(max_rows=3)
    bench.model.gate.set()
    assert (await bench.ask(3)).rows == 3
    with pytest.raises(FairleadError, match="the request has 4 rows; one may have 3, which FAIRLEAD_MAX_ROWS sets"):
        await bench.ask(4)
    fixed = Bench(max_rows=3, spec=replace(X, shape=(5, 2)))
    fixed.model.gate.set()
    assert (await fixed.ask(5)).rows == 5
    await fixed.all_back()
