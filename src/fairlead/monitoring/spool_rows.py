"""What the records of a spool say, as rows and counts for the database."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.errors import Code
from fairlead.monitoring.prediction import BOUNDS_S, PredictionRow, Tally
from fairlead.monitoring.spool_record import ARMS, CODES, HEAD, ID_BYTES, VersionRecord, take_arrays
from fairlead.servable.npz import write_npz

__all__ = ["rows_and_tallies"]

_MINUTE_US = 60_000_000
_BOUNDS_US = np.array(BOUNDS_S) * 1e6

Array = NDArray[Any]
Key = tuple[int, str, int, str]


def rows_and_tallies(
    versions: Mapping[int, VersionRecord], batches: Sequence[bytes]
) -> tuple[list[PredictionRow], list[Tally]]:
    """The sampled rows, in order, and the counts of all.

    Args:
        versions: what the batches' numbers mean.
        batches: contents of records of the kind `BATCH`.
    """
    rows: list[PredictionRow] = []
    counts: dict[Key, Counter[int]] = {}
    errors: Counter[Key] = Counter()
    for content in batches:
        batch = _Batch(content, versions)
        rows += batch.rows()
        for key, bucket, count, has_failed in batch.counts():
            counts.setdefault(key, Counter())[bucket] += count
            errors[key] += count if has_failed else 0
    return rows, [_tally(key, counted, errors[key]) for key, counted in counts.items()]


def _tally(key: Key, counted: Counter[int], errors: int) -> Tally:
    minute, model, version, arm = key
    latency = tuple(counted[bucket] for bucket in range(len(BOUNDS_S) + 1))
    return Tally(
        minute=minute, model=model, version=version, arm=arm, rows=sum(latency), errors=errors, latency=latency
    )


class _Batch:
    """The columns of a batch's record."""

    def __init__(self, content: bytes, versions: Mapping[int, VersionRecord]) -> None:
        number, count = HEAD.unpack_from(content)
        self._version = versions[number]
        at = HEAD.size
        ids, at = content[at : at + ID_BYTES * count].decode("ascii"), at + ID_BYTES * count
        self._ids = [ids[start : start + ID_BYTES] for start in range(0, len(ids), ID_BYTES)]
        self._arms = [ARMS[number] for number in content[at : at + count]]
        self._errors = [CODES[number] for number in content[at + count : at + 2 * count]]
        self._sampled = list(content[at + 2 * count : at + 3 * count])
        at += 3 * count
        self._rows = np.frombuffer(content, "<u4", count, at).tolist()
        self._latency_us = np.frombuffer(content, "<u4", count, at + 4 * count).tolist()
        features, at = take_arrays(content, at + 8 * count)
        outputs, at = take_arrays(content, at)
        self._inputs, _ = take_arrays(content, at)
        self._kept = _Kept(self._version, outputs, features.get("features"))

    def rows(self) -> Iterator[PredictionRow]:
        """Each row of a request that was sampled."""
        row = 0
        for which, id_ in enumerate(self._ids):
            if self._sampled[which]:
                for part in range(self._rows[which]):
                    yield self._row(which, id_ if self._rows[which] == 1 else f"{id_}.{part}", row)
                    row += not self._errors[which]

    def _row(self, which: int, id_: str, row: int) -> PredictionRow:
        error = self._errors[which]
        return PredictionRow(
            id=id_,
            at_us=_made_us(id_),
            model=self._version.model,
            version=self._version.version,
            arm=self._arms[which],
            latency_us=self._latency_us[which],
            inputs=_npz(self._inputs, row) if self._inputs and not error else None,
            **({"error": error} if error else self._kept.row(row)),
        )

    def counts(self) -> Iterator[tuple[Key, int, int, bool]]:
        """Of each request: what it is counted under, its place in the histogram, its rows, whether it failed."""
        buckets = np.searchsorted(_BOUNDS_US, self._latency_us).tolist()
        model, version = self._version.model, self._version.version
        for which, id_ in enumerate(self._ids):
            key = (_made_us(id_) // _MINUTE_US, model, version, self._arms[which])
            yield key, buckets[which], self._rows[which], bool(self._errors[which])


class _Kept:
    """What was kept of the rows that were answered, as lists."""

    def __init__(self, version: VersionRecord, outputs: Mapping[str, Array], features: Array | None) -> None:
        self._outputs = {name: values.reshape(len(values), -1).tolist() for name, values in outputs.items()}
        self._names = version.features
        self._features = None if features is None else _with_texts(features.tolist(), version)
        self._labels = version.labels
        scores = _scores(outputs, version.labels)
        self._predicted = None if scores is None else scores.argmax(axis=1).tolist()
        self._confidence = None if scores is None else scores.max(axis=1).tolist()
        self._is_finite = _finite_rows(outputs)

    def row(self, row: int) -> dict[str, Any]:
        """The fields of row number `row`. Numbers that are none are an error, whatever the caller was told."""
        if not self._is_finite[row]:
            return {"error": Code.OUT_OF_RANGE.value}
        return {
            "outputs": {name: values[row] for name, values in self._outputs.items()},
            "features": dict(zip(self._names, self._features[row], strict=True)) if self._features else None,
            "predicted": self._labels[self._predicted[row]] if self._predicted else None,
            "confidence": self._confidence[row] if self._confidence else None,
        }


def _with_texts(rows: list[list[Any]], version: VersionRecord) -> list[list[Any]]:
    """The features with categories by their names in place of their numbers."""
    for place, name in enumerate(version.features):
        if name in version.categories:
            texts = version.categories[name]
            for row in rows:
                row[place] = texts[int(row[place])] if row[place] >= 0 else None
    return rows


def _scores(outputs: Mapping[str, Array], labels: Sequence[str]) -> Array | None:
    """The first output that has a number for each class."""
    fitting = (v for v in outputs.values() if labels and v.dtype.kind == "f" and v.shape[1:] == (len(labels),))
    return next(fitting, None)


def _finite_rows(outputs: Mapping[str, Array]) -> list[bool]:
    """Of each row, whether all of its numbers are finite; True for any row where no output is of floats."""
    floats = [values.reshape(len(values), -1) for values in outputs.values() if values.dtype.kind == "f"]
    if not floats:
        return [True] * max((len(values) for values in outputs.values()), default=0)
    finite = [np.isfinite(values).all(axis=1) for values in floats]
    return [bool(row) for row in np.logical_and.reduce(finite)]


def _made_us(id_: str) -> int:
    """When a UUID of version 7 was made: its first 48 bits are milliseconds."""
    return int(id_[:8] + id_[9:13], 16) * 1000


def _npz(inputs: Mapping[str, Array], row: int) -> bytes:
    file = io.BytesIO()
    write_npz(file, {name: values[row] for name, values in inputs.items()}, is_compressed=True)
    return file.getvalue()
