"""What is answered is written down first: every request, in its arm, with the rows that were sampled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.position import Position
from fairlead.monitoring.prediction import PredictionRow, Tally
from fairlead.monitoring.spool import SpoolReader, SpoolWriter
from fairlead.monitoring.spool_record import VersionRecord
from fairlead.monitoring.spool_rows import rows_and_tallies
from fairlead.servable.identity import ServableId
from fairlead.servable.runtimes.onnx import OnnxServable
from fairlead.servable.signature import Array, Tensors
from fairlead.serving.batching import Outputs
from fairlead.serving.prediction_log import PredictionLog
from fairlead.serving.predictor import Prediction, Predictor
from fairlead.serving.statistics import Statistics
from fairlead.serving.target import Target
from fairlead.store.release import Candidate, Mode
from fairlead.telemetry.batches import BatchMetrics
from fairlead.telemetry.instruments import Instruments
from fairlead.testing import publish_digit

from .conftest import World

M = Target(model="m")
PICTURE = np.zeros((28, 28, 1), np.float32)


def pictures(rows: int) -> Array:
    """So many pictures of one bright pixel each, which moves from row to row."""
    images = np.zeros((rows, 28, 28, 1), np.float32)
    for row in range(rows):
        images[row, row % 28, row % 28] = 1.0
    return images


@asynccontextmanager
async def logging_to(spool: Path, world: World, **how: float) -> AsyncIterator[Predictor]:
    """A predictor that writes down what it answers."""
    instruments = Instruments()
    writer = SpoolWriter(spool, max_bytes=1 << 30, on_drop=lambda _: pytest.fail("dropped"))
    predictor = Predictor(
        world.manager,
        BatchMetrics(instruments),
        Statistics(instruments),
        threads=1,
        max_in_flight=1000,
        log=PredictionLog(writer, **how),  # type: ignore[arg-type] # as the test says
    )
    yield predictor
    predictor.close()
    writer.close()


async def ask(predictor: Predictor, rows: int = 1, target: Target = M, **how: str) -> Prediction:
    """Ask about so many pictures."""
    return await predictor.predict(target, lambda _: {"image": pictures(rows)}, **how)  # type: ignore[arg-type] # key


def logged(spool: Path) -> tuple[list[PredictionRow], list[Tally]]:
    """All rows and counts of a spool."""
    reader, begin = SpoolReader(spool), Position()
    rows: list[PredictionRow] = []
    tallies: list[Tally] = []
    while (chunk := reader.read(begin, 1 << 20)).end != begin:
        found, counted = rows_and_tallies(chunk.versions, chunk.batches)
        rows, tallies, begin = rows + found, tallies + counted, chunk.end
    return rows, tallies


def serve(world: World, candidate: Candidate | None = None) -> None:
    """A model that answers 3, and one that answers 7 and may be tried."""
    for digit in (3, 7):
        publish_digit(world.store, "m", digit)
    world.store.promote(ServableId("m", 1), why="")
    if candidate:
        world.store.try_candidate("m", candidate, why="")
    world.manager.start()
    world.wait(lambda: world.serving() == 1)
    if candidate:
        world.wait(lambda: len([s for s in world.manager.statuses("m") if s.state == "AVAILABLE"]) == 2)


async def test_an_answer_is_in_the_log_before_the_caller_has_it(world: World, tmp_path: Path) -> None:
    """When `predict` returns, the spool holds the row under the id that the caller gets."""
    serve(world)
    async with logging_to(tmp_path, world) as predictor:
        prediction = await ask(predictor)
        rows, _ = logged(tmp_path)

    assert [row.id for row in rows] == [prediction.id]
    assert (rows[0].model, rows[0].version, rows[0].arm, rows[0].predicted) == ("m", 1, "stable", "3")
    assert rows[0].outputs is not None
    assert len(rows[0].outputs["probs"]) == len(prediction.outputs["probs"][0])
    assert rows[0].features is not None
    assert {"mean", "ink"} <= rows[0].features.keys()


async def test_many_at_once_are_told_apart(world: World, tmp_path: Path) -> None:
    """Requests that run as one batch have each its own rows, in its own order."""
    serve(world)
    async with logging_to(tmp_path, world) as predictor:
        answers = await asyncio.gather(*(ask(predictor, rows) for rows in (1, 3, 2)))
        rows, tallies = logged(tmp_path)

    first, second, third = (answer.id for answer in answers)
    assert sorted(row.id for row in rows) == sorted(
        [first, f"{second}.0", f"{second}.1", f"{second}.2", f"{third}.0", f"{third}.1"]
    )
    assert sum(tally.rows for tally in tallies) == 6
    centres = {row.id: float(row.features["centre_x"]) for row in rows if row.features}
    assert centres[f"{second}.0"] < centres[f"{second}.1"] < centres[f"{second}.2"]


async def test_of_a_busy_version_a_part_is_measured(world: World, tmp_path: Path) -> None:
    """Rows beyond so many a second are in the log like all others, but for what drift is measured by."""
    serve(world)
    async with logging_to(tmp_path, world, measured_per_s=1) as predictor:
        for _ in range(3):
            await ask(predictor, 4)
        rows, _ = logged(tmp_path)

    assert [row.features is not None for row in rows] == [True] * 4 + [False] * 8
    assert {row.predicted for row in rows} == {"3"}


async def test_rows_that_are_not_kept_use_up_nothing(world: World, tmp_path: Path) -> None:
    """Of a half of the requests as many rows are measured as of all."""
    serve(world)
    async with logging_to(tmp_path, world, sample=0.5, measured_per_s=170) as predictor:
        for _ in range(5):
            await asyncio.gather(*(ask(predictor) for _ in range(50)))
        rows, _ = logged(tmp_path)

    assert 80 < len(rows) < 170
    assert all(row.features is not None for row in rows)


async def test_arms_are_told(world: World, tmp_path: Path) -> None:
    """The log says in which arm a version answered; of who asked for a version, that it was in none."""
    serve(world, Candidate(version=2, mode=Mode.CANARY, weight=0.5, salt="s"))
    async with logging_to(tmp_path, world) as predictor:
        for key in range(40):
            await ask(predictor, key=str(key))
        await ask(predictor, target=Target(model="m", version=2))
        rows, _ = logged(tmp_path)

    assert {(row.version, row.arm, row.predicted) for row in rows} == {
        (1, "stable", "3"),
        (2, "candidate", "7"),
        (2, "", "7"),
    }


async def test_a_shadow_is_logged_under_the_same_id(world: World, tmp_path: Path) -> None:
    """The copy's answer stands beside that of the version which answered the caller."""
    serve(world, Candidate(version=2, mode=Mode.SHADOW, weight=1.0, salt="s"))
    async with logging_to(tmp_path, world) as predictor:
        prediction = await ask(predictor, 2)
        while len(logged(tmp_path)[0]) < 4:  # noqa: ASYNC110 - nobody is told when the copy has been answered
            await asyncio.sleep(0.001)
        rows, _ = logged(tmp_path)

    assert prediction.manifest.version == 1
    assert sorted((row.id, row.arm, row.predicted) for row in rows) == sorted(
        (f"{prediction.id}.{row}", arm, label) for row in range(2) for arm, label in (("stable", "3"), ("shadow", "7"))
    )
    assert world.manager._models["m"].versions[2].users == 0


async def test_what_is_not_sampled_is_counted(world: World, tmp_path: Path) -> None:
    """With a sample of 0 there are no rows and exact counts; while a candidate is tried all rows are there."""
    serve(world)
    async with logging_to(tmp_path / "a", world, sample=0.0) as predictor:
        await asyncio.gather(*(ask(predictor) for _ in range(9)))
        rows, tallies = logged(tmp_path / "a")
    assert (rows, sum(tally.rows for tally in tallies)) == ([], 9)

    world.store.try_candidate("m", Candidate(version=2, mode=Mode.CANARY, weight=0.5, salt="s"), why="")
    world.wait(lambda: len([s for s in world.manager.statuses("m") if s.state == "AVAILABLE"]) == 2)
    async with logging_to(tmp_path / "b", world, sample=0.0) as predictor:
        await asyncio.gather(*(ask(predictor) for _ in range(9)))
        rows, _ = logged(tmp_path / "b")
    assert len(rows) == 9


async def test_a_share_is_sampled(world: World, tmp_path: Path) -> None:
    """About the share that is asked for has rows."""
    serve(world)
    async with logging_to(tmp_path, world, sample=0.3) as predictor:
        for _ in range(20):
            await asyncio.gather(*(ask(predictor) for _ in range(50)))
        rows, tallies = logged(tmp_path)

    assert 220 < len(rows) < 380
    assert sum(tally.rows for tally in tallies) == 1000


async def test_inputs_are_kept_where_the_policy_says_so(world: World, tmp_path: Path) -> None:
    """By default no input is written anywhere; with the policy, those that are numbers are."""
    serve(world)
    async with logging_to(tmp_path / "off", world) as predictor:
        await ask(predictor)
    async with logging_to(tmp_path / "on", world, keeps_inputs=True) as predictor:
        await ask(predictor)

    assert logged(tmp_path / "off")[0][0].inputs is None
    kept = logged(tmp_path / "on")[0][0].inputs
    assert kept is not None
    path = tmp_path / "row.npz"
    path.write_bytes(kept)
    with np.load(path) as arrays:
        assert (arrays["image"] == pictures(1)[0]).all()


async def test_rows_of_a_request_that_failed_are_not_its_neighbours(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the model refuses one request of a batch, it has no row, and the others have their own features."""
    serve(world)
    predict = OnnxServable.predict

    def refuse_two_rows(self: OnnxServable, inputs: Tensors, outputs: Collection[str] | None = None) -> Outputs:
        if len(inputs["image"]) in {2, 6}:  # the request of two rows, and the batch that it is in
            raise FairleadError(Code.INVALID_ARGUMENT, "two")
        return predict(self, inputs, outputs)

    monkeypatch.setattr(OnnxServable, "predict", refuse_two_rows)
    async with logging_to(tmp_path, world) as predictor:
        first, refused, third = await asyncio.gather(*(ask(predictor, n) for n in (1, 2, 3)), return_exceptions=True)
        rows, tallies = logged(tmp_path)

    assert isinstance(first, Prediction)
    assert isinstance(refused, FairleadError)
    assert isinstance(third, Prediction)
    centres = {row.id: row.features["centre_x"] for row in rows if row.features}
    assert centres == {
        first.id: centres[f"{third.id}.0"],
        f"{third.id}.0": pytest.approx(0.5 / 28 - 0.5),
        f"{third.id}.1": pytest.approx(1.5 / 28 - 0.5),
        f"{third.id}.2": pytest.approx(2.5 / 28 - 0.5),
    }
    assert [row.error for row in rows if row.features is None] == ["INVALID_ARGUMENT"] * 2
    assert (sum(tally.rows for tally in tallies), sum(tally.errors for tally in tallies)) == (6, 2)


class Broken:
    """A sink that cannot take anything."""

    def write(self, version: VersionRecord, batch: bytes) -> None:
        raise RuntimeError("no room")


async def test_a_log_that_breaks_costs_no_answer(world: World) -> None:
    """Whatever goes wrong with the log, callers get their answers."""
    serve(world)
    instruments = Instruments()
    predictor = Predictor(
        world.manager,
        BatchMetrics(instruments),
        Statistics(instruments),
        threads=1,
        max_in_flight=10,
        log=PredictionLog(Broken()),
    )

    assert (await ask(predictor)).manifest.version == 1
    predictor.close()


async def test_bad_input_is_no_prediction(world: World, tmp_path: Path) -> None:
    """What never reached a version is not logged, and no hold on a shadow is left."""
    serve(world, Candidate(version=2, mode=Mode.SHADOW, weight=1.0, salt="s"))
    async with logging_to(tmp_path, world) as predictor:
        with pytest.raises(FairleadError):
            await predictor.predict(M, lambda _: {"image": PICTURE})

    assert logged(tmp_path) == ([], [])
    assert [version.users for version in world.manager._models["m"].versions.values()] == [0, 0]
