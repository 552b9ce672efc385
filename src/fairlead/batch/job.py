"""A batch from its first row to its last: parts are read in one thread, and scored and written in others."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.batch.answers import ENCODERS, Answers
from fairlead.batch.columns import check_rows, row_size
from fairlead.batch.output import Counts, Output
from fairlead.batch.parquet_source import ParquetSource, needs_pyarrow
from fairlead.batch.pictures import PictureSource
from fairlead.batch.source import Decoded, Part, Reject, Source
from fairlead.batch.text_source import CsvSource, JsonLinesSource
from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.scores import NOT_FINITE
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Tensors

__all__ = ["SUFFIXES", "Job", "check_input"]

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_PART_BYTES = 8 << 20
_MOST_ROWS = 65_536
_RUN_ROWS = (8, 32, 128, 512)
_TRIAL_ROWS = 512
_USUAL_ROWS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        input: a file of a kind in `SUFFIXES`, or a folder of pictures.
        output: the directory that the answers go to.
        format: of the answers; None for the input's, and for pictures JSON lines.
        part_rows: how many rows a part has; None for some megabytes of inputs.
        max_rejects: how many rows may be rejected before the job fails; None for any number.
        threads: how many parts are worked on at once.
    """

    input: Path
    output: Path
    format: str | None = None
    part_rows: int | None = None
    max_rejects: int | None = None
    threads: int = 1

    def run(self, servable: Servable, manifest: Manifest, on_part: Callable[[Counts], None]) -> Counts:
        """Score what is not scored yet, and tell how many rows there are so far after each part.

        Raises:
            FairleadError: before anything is written, when the input does not fit; ABORTED when too many rows were
                rejected or the input changed meanwhile.
        """
        check_rows(manifest.signature)
        source = _open(self.input, manifest)
        identity = source.identity()
        suffix = self.format or SUFFIXES.get(self.input.suffix.lower(), "jsonl")
        if suffix == "parquet":
            needs_pyarrow("writing Parquet")
        size = self.part_rows or _part_rows(manifest)
        output = Output(self.output, suffix)
        with output.claimed(_description(identity, manifest, suffix, size)):
            if (done := output.done()) is not None:
                return done
            counts = self._score(source, _Scorer(servable, manifest, suffix, output), size, on_part)
            if source.identity() != identity:
                raise FairleadError(
                    Code.ABORTED, f"{self.input} changed while it was scored", hint="score it into another directory"
                )
            output.finish(counts)
        return counts

    def _score(self, source: Source, scorer: _Scorer, size: int, on_part: Callable[[Counts], None]) -> Counts:
        counts = Counts()
        working: deque[Future[tuple[int, int]]] = deque()
        with ThreadPoolExecutor(self.threads, thread_name_prefix="batch") as pool:
            try:
                for part in source.parts(size, scorer.output.parts()):
                    working.append(pool.submit(scorer.score, part))
                    if len(working) > self.threads:  # each holds a part's rows: that is the memory there is
                        counts = self._add(counts, working.popleft(), on_part)
                while working:
                    counts = self._add(counts, working.popleft(), on_part)
            finally:
                pool.shutdown(cancel_futures=True)
        return counts

    def _add(self, counts: Counts, part: Future[tuple[int, int]], on_part: Callable[[Counts], None]) -> Counts:
        counts = counts.plus(*part.result())
        on_part(counts)
        if self.max_rejects is not None and counts.rejected > self.max_rejects:
            raise FairleadError(
                Code.ABORTED,
                f"{counts.rejected:,} of {counts.rows:,} rows were rejected; at most {self.max_rejects:,} may be",
                hint=f"see {self.output}/*.rejects.jsonl; a larger --max-rejects goes on from here",
            )
        return counts


class _Scorer:
    """Makes a part's file of its rows, in any thread."""

    def __init__(self, servable: Servable, manifest: Manifest, suffix: str, output: Output) -> None:
        self.output = output
        self._servable = servable
        self._manifest = manifest
        self._suffix = suffix
        self._run_rows = 0
        self._choosing = threading.Lock()

    def score(self, part: Part) -> tuple[int, int]:
        """The number of rows of a part, and of those rejected, once it is there."""
        if part.decode is None:
            return part.rows, self.output.rejected(part.number)
        decoded = part.decode()
        answers, refused = self._answer(decoded)
        rejects = (*decoded.rejects, *refused)
        if len(answers.rows) + len(rejects) != part.rows:
            raise FairleadError(
                Code.INTERNAL,
                f"part {part.number} has {part.rows} rows, {len(answers.rows)} answers and {len(rejects)} rejects",
            )
        self.output.write(part.number, ENCODERS[self._suffix](answers), rejects)
        return part.rows, len(rejects)

    def _answer(self, decoded: Decoded) -> tuple[Answers, list[Reject]]:
        """What the model says to the rows, and those that it has no finite answer to."""
        size = self._size(decoded)
        found: list[Tensors] = []
        kept: list[int] = []
        refused: list[Reject] = []
        for start in range(0, len(decoded.rows), size):
            places = range(start, min(start + size, len(decoded.rows)))
            for some, outputs in self._run(decoded, places, refused):
                found.append(outputs)
                kept += some
        outputs = (
            {name: np.concatenate([one[name] for one in found]) for name in found[0]} if found else self._nothing()
        )
        good = np.ones(len(kept), np.bool_)
        for array in outputs.values():
            if array.dtype.kind == "f" and len(array):
                good &= np.isfinite(array).reshape(len(array), -1).all(axis=1)
        refused += [self._reject(decoded, kept[place], NOT_FINITE) for place in np.flatnonzero(~good)]
        places_kept = np.array(kept, np.int64)[good]
        files = None if decoded.files is None else [decoded.files[place] for place in places_kept]
        answers = Answers(
            rows=decoded.rows[places_kept],
            labels=self._manifest.labels,
            outputs={name: array[good] for name, array in outputs.items()},
            files=files,
        )
        return answers, refused

    def _size(self, decoded: Decoded) -> int:
        """How many rows a run; the first part that has any decides for all of them."""
        with self._choosing:
            if not self._run_rows and len(decoded.rows):
                self._run_rows = _fastest(self._servable, decoded.tensors)
            return self._run_rows or 1

    def _run(self, decoded: Decoded, places: range, refused: list[Reject]) -> list[tuple[range, Tensors]]:
        """The outputs of the rows at `places`; each alone, when the model refuses them together."""
        inputs = {name: array[places.start : places.stop] for name, array in decoded.tensors.items()}
        try:
            return [(places, _by_row(self._servable.predict(inputs), len(places)))]
        except FairleadError as error:
            if error.code is not Code.INVALID_ARGUMENT:
                raise
            if len(places) == 1:
                refused.append(self._reject(decoded, places.start, error.message))
                return []
        return [one for place in places for one in self._run(decoded, range(place, place + 1), refused)]

    def _reject(self, decoded: Decoded, place: int, reason: str) -> Reject:
        file = None if decoded.files is None else decoded.files[place]
        return Reject(row=int(decoded.rows[place]), reason=reason, file=file)

    def _nothing(self) -> dict[str, Array]:
        specs = self._manifest.signature.outputs
        return {spec.name: np.empty((0, *(max(n, 0) for n in spec.shape[1:])), spec.numpy_dtype) for spec in specs}


def check_input(path: Path) -> None:
    """Raise NOT_FOUND when there is nothing at `path`, INVALID_ARGUMENT when it is of no kind that is read."""
    if path.is_dir() or (path.is_file() and path.suffix.lower() in SUFFIXES):
        return
    if path.exists():
        raise FairleadError(
            Code.INVALID_ARGUMENT, f"{path} is neither a folder of pictures nor one of {', '.join(SUFFIXES)}"
        )
    raise FairleadError(Code.NOT_FOUND, f"there is no file {path}")


def _open(path: Path, manifest: Manifest) -> Source:
    check_input(path)
    if path.is_dir():
        return PictureSource(path, manifest)
    kinds: dict[str, Any] = {"csv": CsvSource, "jsonl": JsonLinesSource, "parquet": ParquetSource}
    source: Source = kinds[SUFFIXES[path.suffix.lower()]](path, manifest.signature)
    return source


def _description(identity: Any, manifest: Manifest, suffix: str, size: int) -> dict[str, Any]:
    return {
        "model": manifest.model,
        "version": manifest.version,
        "files": dict(manifest.files),
        "input": dict(identity),
        "format": suffix,
        "part_rows": size,
    }


def _part_rows(manifest: Manifest) -> int:
    row_bytes = sum(row_size(spec) * spec.numpy_dtype.itemsize for spec in manifest.signature.inputs)
    return min(max(_PART_BYTES // max(row_bytes, 1), 1), _MOST_ROWS)


def _by_row(outputs: Tensors, rows: int) -> Tensors:
    """The outputs, checked to have one row for each of the inputs."""
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            raise FairleadError(
                Code.UNIMPLEMENTED, f"output {name!r} has the shape {list(array.shape)} for {rows} rows: not one a row"
            )
    return outputs


def _fastest(servable: Servable, tensors: Tensors) -> int:
    """How many rows a run the model is fastest with, by trying on some; where there are few it is not worth it."""
    if len(next(iter(tensors.values()))) < _TRIAL_ROWS:
        return _USUAL_ROWS
    return min(_RUN_ROWS, key=lambda size: _seconds(servable, tensors, size))


def _seconds(servable: Servable, tensors: Tensors, size: int) -> float:
    """The shorter of two passes; endless when the model refuses the rows."""
    best = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        for start in range(0, _TRIAL_ROWS, size):
            try:
                servable.predict({name: array[start : start + size] for name, array in tensors.items()})
            except FairleadError:
                return float("inf")
        best = min(best, time.perf_counter() - began)
    return best
