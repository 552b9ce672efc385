"""Rows in CSV with a header and in JSON lines."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from fairlead.batch.columns import Columns, decode, find_columns, row_size
from fairlead.batch.source import Decoded, Part, identify
from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Signature

__all__ = ["CsvSource", "JsonLinesSource"]

_MAX_LINE = 16 << 20
_WORDS: Mapping[str, Any] = {"True": True, "False": False}


class CsvSource:
    """A CSV file in UTF-8 whose first line names the columns; lines without anything are no rows.

    Args:
        path: the file.
        signature: of the model.

    Raises:
        FairleadError: INVALID_ARGUMENT when a column is missing or there is no row.
    """

    def __init__(self, path: Path, signature: Signature) -> None:
        self._path = path
        self._signature = signature
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            self._names = next(csv.reader(file), [])
        if not self._names or next(self._rows(), None) is None:
            raise _empty(path)
        self._columns = find_columns(signature, self._names, path.name)

    def identity(self) -> Mapping[str, Any]:
        return identify(self._path)

    @property
    def names(self) -> Sequence[str]:
        return [name for columns in self._columns for name in columns.names]

    def parts(self, size: int, done: Collection[int]) -> Iterator[Part]:
        return _parts(self._rows(), size, done, self._decode)

    def _rows(self) -> Iterator[list[str] | str]:
        """The cells of each row, or what is wrong with it."""
        with self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = csv.reader(file)
            next(lines, None)
            while True:
                try:
                    for cells in lines:
                        if cells:
                            yield cells
                except csv.Error as error:
                    yield f"it is no CSV: {error}"
                else:
                    return

    def _decode(self, rows: Sequence[list[str] | str], first: int) -> Decoded:
        width = len(self._names)
        places = {name: place for place, name in enumerate(self._names)}
        plan = [(columns, [places[name] for name in columns.names]) for columns in self._columns]
        values: list[list[Any] | str] = []
        for cells in rows:
            if isinstance(cells, str):
                values.append(cells)
            elif len(cells) != width:
                values.append(f"it has {len(cells)} values, the header has {width}")
            else:
                values.append([_of_cells(columns, [cells[place] for place in at]) for columns, at in plan])
        return decode(self._signature, values, first)


class JsonLinesSource:
    """A JSON value a line: an object with the columns, or of a model with one input just its value.

    Args:
        path: the file, in UTF-8; blank lines are no rows.
        signature: of the model.

    Raises:
        FairleadError: INVALID_ARGUMENT when the first object lacks a column or there is no row.
    """

    def __init__(self, path: Path, signature: Signature) -> None:
        self._path = path
        self._signature = signature
        lines = self._lines()
        if (first := next(lines, None)) is None:
            raise _empty(path)
        lines.close()
        row = _parsed(first)
        if isinstance(row, dict):
            self._columns = find_columns(signature, list(row), path.name)
        else:
            self._columns = tuple(Columns(spec=spec, names=(spec.name,), is_whole=True) for spec in signature.inputs)

    def identity(self) -> Mapping[str, Any]:
        return identify(self._path)

    @property
    def names(self) -> Sequence[str]:
        return [name for columns in self._columns for name in columns.names]

    def parts(self, size: int, done: Collection[int]) -> Iterator[Part]:
        return _parts(self._lines(), size, done, self._decode)

    def _lines(self) -> Any:
        with self._path.open("rb") as file:
            while line := file.readline(_MAX_LINE):
                if len(line) == _MAX_LINE:
                    raise FairleadError(
                        Code.INVALID_ARGUMENT,
                        f"{self._path.name} has a line of more than {_MAX_LINE:,} bytes",
                        hint="write one JSON value a line",
                    )
                if line := line.strip():
                    yield line

    def _decode(self, lines: Sequence[bytes], first: int) -> Decoded:
        return decode(self._signature, [self._values(_parsed(line)) for line in lines], first)

    def _values(self, row: Any) -> list[Any] | str:
        if isinstance(row, orjson.JSONDecodeError):
            return f"it is no JSON: {row.msg} at offset {row.pos}"
        if not isinstance(row, dict):
            return [row] if len(self._signature.inputs) == 1 else "it is no object"
        if missing := [name for name in self.names if name not in row]:
            return f"it has no {missing[0]!r}"
        return [
            row[columns.names[0]] if columns.is_whole else [row[name] for name in columns.names]
            for columns in self._columns
        ]


def _parts(rows: Iterator[Any], size: int, done: Collection[int], decode: Any) -> Iterator[Part]:
    """Cut the rows; those of a part that is done are counted and let go."""
    number = 0
    while True:
        if number in done:
            if count := sum(1 for _ in islice(rows, size)):
                yield Part(number=number, rows=count, decode=None)
        elif some := list(islice(rows, size)):
            count = len(some)
            yield Part(number=number, rows=count, decode=partial(decode, some, number * size))
        else:
            count = 0
        if count < size:
            return
        number += 1


def _of_cells(columns: Columns, cells: list[str]) -> Any:
    """The value of one input, as JSON has it."""
    if columns.spec.dtype == "string":
        return _text(columns, cells)
    if columns.spec.column is not None and not cells[0].strip():
        return None
    try:
        values = orjson.loads(f"[{','.join(cells)}]")
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        values = [_number(cell) for cell in cells]
    if len(values) != len(cells):
        values = cells
    return values[0] if columns.is_whole else values


def _text(columns: Columns, cells: list[str]) -> Any:
    if not columns.is_whole:
        return cells
    if row_size(columns.spec) == 1:
        return cells[0]
    row = _parsed(cells[0].encode(errors="surrogateescape"))
    return cells[0] if isinstance(row, orjson.JSONDecodeError) else row


def _number(cell: str) -> Any:
    """What a cell says that is no JSON, such as `.5` or `True`; the text itself when it says nothing known."""
    text = cell.strip()
    try:
        return float(text)
    except ValueError:
        row = _parsed(text.encode(errors="surrogateescape"))
        return _WORDS.get(text, cell) if isinstance(row, orjson.JSONDecodeError) else row


def _parsed(line: bytes) -> Any:
    """The value, or the error."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return error


def _empty(path: Path) -> FairleadError:
    return FairleadError(Code.INVALID_ARGUMENT, f"{path.name} holds no row")
