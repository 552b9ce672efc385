"""Labels from a file: CSV with a header, or Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from fairlead.errors import Code, FairleadError
from fairlead.monitoring.label import Label

__all__ = ["read_labels"]

_COLUMNS = ("prediction_id", "label")


def read_labels(path: Path, *, at_once: int = 10_000) -> Iterator[list[Label]]:
    """The labels in a file, in order, in lists of at most `at_once`; each knows the line or row it stands in.

    Args:
        path: a `.csv` in UTF-8 whose first line names the columns, or a `.parquet`. Other columns than
            `prediction_id` and `label` are passed over.
        at_once: how many a list holds.

    Raises:
        FairleadError: NOT_FOUND for no file, INVALID_ARGUMENT for a missing column, with those there are, and for a
            bad line, with its number; FAILED_PRECONDITION when Parquet cannot be read here. A bad line is met when
            its list is asked for: those before it were good.
    """
    readers = {".csv": _from_csv, ".parquet": _from_parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise FairleadError(Code.INVALID_ARGUMENT, f"{path} is neither .csv nor .parquet")
    if not path.is_file():
        raise FairleadError(Code.NOT_FOUND, f"there is no file {path}")
    labels = reader(path)
    while some := list(islice(labels, at_once)):
        yield some


def _from_csv(path: Path) -> Iterator[Label]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, strict=True)
        try:
            header = next(lines, [])
            places = _places(path, header)
            for values in lines:
                if values:
                    yield _label(values, places, len(header), f"line {lines.line_num} of {path.name}")
        except UnicodeDecodeError as error:
            raise _refusal(f"{path.name} is not UTF-8 after line {lines.line_num}: {error.reason}") from error
        except csv.Error as error:
            raise _refusal(f"line {lines.line_num} of {path.name} is no CSV: {error}") from error


def _label(values: Sequence[str], places: Sequence[int], columns: int, origin: str) -> Label:
    if len(values) != columns:
        raise _refusal(f"{origin} has {len(values)} values, the header has {columns}")
    prediction_id, label = (values[place] for place in places)
    return Label(prediction_id=prediction_id, label=label, origin=origin)


def _from_parquet(path: Path) -> Iterator[Label]:
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{path} needs {error.name}, which is not installed",
            hint="pip install 'fairlead[parquet]'",
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            _places(path, file.schema_arrow.names)
            yield from _rows(path, file)
    except pa.ArrowException as error:
        raise _refusal(f"{path.name} is no Parquet: {str(error).splitlines()[0]}") from error


def _rows(path: Path, file: Any) -> Iterator[Label]:
    number = 0
    for batch in file.iter_batches(columns=list(_COLUMNS)):
        columns = (batch.column(name).to_pylist() for name in _COLUMNS)
        for prediction_id, label in zip(*columns, strict=True):
            number += 1
            yield Label(prediction_id=prediction_id, label=label, origin=f"row {number} of {path.name}")


def _places(path: Path, header: Sequence[str]) -> list[int]:
    """Where the two columns stand."""
    for name in _COLUMNS:
        if header.count(name) != 1:
            missing = f"has no column {name}" if name not in header else f"has the column {name} twice"
            raise _refusal(f"{path.name} {missing}", hint=f"its columns are {', '.join(map(repr, header)) or 'none'}")
    return [header.index(name) for name in _COLUMNS]


def _refusal(reason: str, *, hint: str = "") -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, reason, hint=hint)
