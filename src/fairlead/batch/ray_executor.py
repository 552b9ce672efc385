"""Parts scored by a Ray cluster: read here, scored by an actor for each of its CPUs, kept here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pyarrow as pa
import ray
import ray.data
from ray import cloudpickle
from ray.data.block import BlockMetadata

from fairlead.batch.executor import Work
from fairlead.batch.output import Counts, Output
from fairlead.batch.scorer import Scored, Scorer
from fairlead.batch.source import Part
from fairlead.errors import FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.servable import Servable

__all__ = ["RayExecutor"]

_COLUMN = "part"
_INIT_DEATHS = 10


class RayExecutor:
    """Scores on Ray Data. What a node that dies had not handed over, another scores.

    Only this process reads the input and writes the output: the nodes need neither, but for the files of pictures.

    Args:
        load: loads the model, in each actor once.
    """

    def __init__(self, load: Callable[[], Servable]) -> None:
        self._load = load

    def run(self, work: Work, output: Output) -> Generator[Counts, None, None]:
        _quieten()
        cpus = max(1, int(ray.cluster_resources().get("CPU", 1)))
        rows = (
            ray.data.read_datasource(_Parts(work.parts), override_num_blocks=1, num_cpus=0)
            .map_batches(
                _Actor,
                fn_constructor_args=(self._load, work.manifest, work.suffix),
                batch_size=1,
                batch_format="pyarrow",
                num_cpus=1,
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=cpus, initial_size=cpus),
            )
            .iter_rows()
        )
        for row in rows:
            done = cloudpickle.loads(row[_COLUMN])
            if isinstance(done, FairleadError):
                raise done
            yield output.keep(done)


class _Parts(ray.data.Datasource):  # type: ignore[misc] # Ray's types are not followed
    """The parts as rows of one column, read on the node of whoever asks."""

    supports_distributed_reads = False

    def __init__(self, parts: Callable[[], Iterator[Part]]) -> None:
        super().__init__()
        self._parts = parts

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(self, *_: Any, **__: Any) -> list[Any]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        parts = self._parts
        return [ray.data.ReadTask(lambda: _read(parts), unknown)]


def _read(parts: Callable[[], Iterator[Part]]) -> Iterator[pa.Table]:
    try:
        for part in parts():
            yield _row(part)
    except FairleadError as error:
        yield _row(error)  # as a value: Ray would wrap what is raised into an error of its own


class _Actor:
    """Holds a model and scores with it what it is given."""

    def __init__(self, load: Callable[[], Servable], manifest: Manifest, suffix: str) -> None:
        self._scorer: Scorer | FairleadError
        try:
            self._scorer = Scorer(load(), manifest, suffix)
        except FairleadError as error:  # said with the first part: an actor that cannot be made says nothing clear
            self._scorer = error

    def __call__(self, rows: pa.Table) -> pa.Table:
        return _row(self._score(cloudpickle.loads(rows.column(_COLUMN)[0].as_py())))

    def _score(self, part: Part | FairleadError) -> Scored | FairleadError:
        if isinstance(part, FairleadError):
            return part
        if isinstance(self._scorer, FairleadError):
            return self._scorer
        try:
            return self._scorer.score(part)
        except FairleadError as error:
            return error


def _row(value: Any) -> pa.Table:
    return pa.table({_COLUMN: pa.array([cloudpickle.dumps(value)], pa.large_binary())})


def _quieten() -> None:
    """Each part is a block of its own, and Ray says only what is amiss."""
    context = ray.data.DataContext.get_current()
    context.target_max_block_size = 1
    context.target_min_block_size = 1
    context.max_consecutive_actor_init_deaths = _INIT_DEATHS  # a node that dies may have an actor that is being made
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
