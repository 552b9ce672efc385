"""What makes a part's answers of its rows, in any thread or process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from fairlead.batch.answers import ENCODERS, Answers
from fairlead.batch.source import Decoded, Part, Reject
from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest
from fairlead.servable.scores import NOT_FINITE
from fairlead.servable.servable import Servable
from fairlead.servable.signature import Array, Tensors

__all__ = ["Scored", "Scorer"]

_RUN_ROWS = (8, 32, 128, 512)
_TRIAL_ROWS = 512
_USUAL_ROWS = 32
_GAIN = 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A part with its answers.

    Attributes:
        number: the part's.
        rows: how many it has, bad ones included.
        answers: the bytes of its file; None for a part that was there already.
        rejects: the rows that are not in it.
    """

    number: int
    rows: int
    answers: bytes | None
    rejects: tuple[Reject, ...] = ()


class Scorer:
    """Scores parts with a model, in any number of threads.

    Args:
        servable: the model.
        manifest: of its version.
        suffix: of the file that the answers make, a key of `ENCODERS`.
    """

    def __init__(self, servable: Servable, manifest: Manifest, suffix: str) -> None:
        self._servable = servable
        self._manifest = manifest
        self._suffix = suffix
        self._dtypes = {spec.name: spec.numpy_dtype for spec in manifest.signature.inputs}
        self._run_rows = 0
        self._choosing = threading.Lock()

    def score(self, part: Part) -> Scored:
        """The part with its answers: each row has one or is rejected."""
        if part.decode is None:
            return Scored(number=part.number, rows=part.rows, answers=None)
        decoded = part.decode()
        answers, refused = self._answer(decoded)
        rejects = (*decoded.rejects, *refused)
        if len(answers.rows) + len(rejects) != part.rows:
            raise FairleadError(
                Code.INTERNAL,
                f"part {part.number} has {part.rows} rows, {len(answers.rows)} answers and {len(rejects)} rejects",
            )
        return Scored(number=part.number, rows=part.rows, answers=ENCODERS[self._suffix](answers), rejects=rejects)

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
                self._run_rows = self._fastest(decoded)
            return self._run_rows or 1

    def _fastest(self, decoded: Decoded) -> int:
        """Larger runs are tried as long as they are faster; where there are few rows it is not worth it."""
        if len(decoded.rows) < _TRIAL_ROWS:
            return _USUAL_ROWS
        best, best_s = _RUN_ROWS[0], self._seconds(decoded, _RUN_ROWS[0])
        for size in _RUN_ROWS[1:]:
            if (took_s := self._seconds(decoded, size)) > _GAIN * best_s:  # else it is noise, and costs memory
                break
            best, best_s = size, took_s
        return best

    def _seconds(self, decoded: Decoded, size: int) -> float:
        """The shorter of two passes over some rows; endless when the model refuses them."""
        best = float("inf")
        for _ in range(2):
            began = time.perf_counter()
            for start in range(0, _TRIAL_ROWS, size):
                try:
                    self._servable.predict(self._inputs(decoded, start, start + size))
                except FairleadError:
                    return float("inf")
            best = min(best, time.perf_counter() - began)
        return best

    def _inputs(self, decoded: Decoded, start: int, stop: int) -> Tensors:
        return {
            name: array[start:stop].astype(self._dtypes[name], copy=False) for name, array in decoded.tensors.items()
        }

    def _run(self, decoded: Decoded, places: range, refused: list[Reject]) -> list[tuple[range, Tensors]]:
        """The outputs of the rows at `places`; each alone, when the model refuses them together."""
        try:
            outputs = self._servable.predict(self._inputs(decoded, places.start, places.stop))
            return [(places, _by_row(outputs, len(places)))]
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


def _by_row(outputs: Tensors, rows: int) -> Tensors:
    """The outputs, checked to have one row for each of the inputs."""
    for name, array in outputs.items():
        if array.shape[:1] != (rows,):
            raise FairleadError(
                Code.UNIMPLEMENTED, f"output {name!r} has the shape {list(array.shape)} for {rows} rows: not one a row"
            )
    return outputs
