"""Rows in Parquet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.batch.columns import Columns, decode, find_columns, keep_good
from fairlead.batch.source import Decoded, Part, identify
from fairlead.errors import Code, FairleadError
from fairlead.servable.signature import Array, Signature

__all__ = ["ParquetSource", "needs_pyarrow"]

_BATCH_ROWS = 1024
_READ_BYTES = 64 << 10
_WIDE = (np.float32, np.float64)
"""What holds any whole number: these stay as narrow as they are, in less memory, until they are run."""


def needs_pyarrow(what: str) -> Any:
    """The module `pyarrow`, with `parquet` in it.

    Raises:
        FairleadError: FAILED_PRECONDITION when it is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise FairleadError(
            Code.FAILED_PRECONDITION,
            f"{what} needs {error.name}, which is not installed",
            hint="pip install 'fairlead[parquet]'",
        ) from error
    return pyarrow


class ParquetSource:
    """A Parquet file. What a part does not need is not decoded: a row group that is done is passed over.

    Args:
        path: the file.
        signature: of the model.

    Raises:
        FairleadError: INVALID_ARGUMENT when it is no Parquet or not whole, a column is missing or there is no row.
    """

    def __init__(self, path: Path, signature: Signature) -> None:
        self._path = path
        self._signature = signature
        self._arrow = needs_pyarrow(str(path))
        try:
            with self._arrow.parquet.ParquetFile(path) as file:
                names, metadata = file.schema_arrow.names, file.metadata
        except (self._arrow.ArrowException, OSError) as error:
            raise FairleadError(
                Code.INVALID_ARGUMENT, f"{path.name} is no whole Parquet file: {str(error).splitlines()[0]}"
            ) from error
        self._ends = np.cumsum([metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)])
        self._count = metadata.num_rows
        if not self._count:
            raise FairleadError(Code.INVALID_ARGUMENT, f"{path.name} holds no row")
        self._columns = find_columns(signature, names, path.name)

    def identity(self) -> Mapping[str, Any]:
        return identify(self._path)

    @property
    def names(self) -> Sequence[str]:
        return [name for columns in self._columns for name in columns.names]

    def parts(self, size: int, done: Collection[int]) -> Iterator[Part]:
        last = -(-self._count // size)
        number = 0
        while number < last:
            if number in done:
                yield Part(number=number, rows=min(size, self._count - number * size), decode=None)
                number += 1
                continue
            end = next((other for other in range(number, last) if other in done), last)
            for table in self._tables(number * size, min(end * size, self._count), size):
                yield Part(number=number, rows=len(table), decode=partial(self._decode, table, number * size))
                number += 1

    def _tables(self, start: int, stop: int, size: int) -> Iterator[Any]:
        """The rows from `start` to before `stop` in tables of `size`; only the last one may be smaller."""
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._ends, stop, side="left"))
        behind = start - int(self._ends[first - 1] if first else 0)  # rows of the first group that are passed over
        waiting: list[Any] = []
        rows, left = 0, stop - start
        try:
            # As it is, pyarrow holds what it has read of the file to its end, and a column of a row group at once.
            with self._arrow.parquet.ParquetFile(self._path, pre_buffer=False, buffer_size=_READ_BYTES) as file:
                for read in file.iter_batches(
                    _BATCH_ROWS, row_groups=[*range(first, last + 1)], columns=self.names, use_threads=False
                ):
                    batch, behind = read.slice(behind), max(0, behind - len(read))
                    batch = batch.slice(0, left)
                    left -= len(batch)
                    while rows + len(batch) >= size:
                        yield self._arrow.Table.from_batches([*waiting, batch.slice(0, size - rows)])
                        batch, waiting, rows = batch.slice(size - rows), [], 0
                    if len(batch):
                        waiting.append(batch)
                        rows += len(batch)
                    if not left:
                        break
        except (self._arrow.ArrowException, OSError) as error:
            raise FairleadError(
                Code.DATA_LOSS, f"{self._path.name} cannot be read to its end: {str(error).splitlines()[0]}"
            ) from error
        if waiting:
            yield self._arrow.Table.from_batches(waiting)

    def _decode(self, table: Any, first: int) -> Decoded:
        tensors = {columns.spec.name: self._quick(columns, table) for columns in self._columns}
        whole = {name: array for name, array in tensors.items() if array is not None}
        if len(whole) == len(tensors):
            rows = np.arange(first, first + len(table), dtype=np.int64)
            return keep_good(self._signature, Decoded(rows=rows, tensors=whole, rejects=()))
        inputs = [self._values(columns, table) for columns in self._columns]
        return decode(self._signature, [*map(list, zip(*inputs, strict=True))], first)

    def _quick(self, columns: Columns, table: Any) -> Array | None:
        """The input without a Python object for each value; None when a row may be bad, or has strings."""
        arrays = [self._flat(table.column(name), columns) for name in columns.names]
        whole = [array for array in arrays if array is not None]
        if len(whole) < len(arrays):
            return None
        flat = whole[0] if columns.is_whole else np.stack(whole, axis=1)
        dtype, shape = columns.spec.numpy_dtype, (len(table), *columns.spec.shape[1:])
        if flat.size != int(np.prod(shape)) or not (
            flat.dtype == dtype or flat.dtype.kind + dtype.kind in ("ff", "if", "uf")
        ):
            return None
        if flat.dtype.kind in "iu" and dtype in _WIDE:
            return flat.reshape(shape)
        with np.errstate(over="ignore"):
            return flat.astype(dtype, copy=False).reshape(shape)

    def _flat(self, column: Any, columns: Columns) -> Array | None:
        """The values of a column in one array; None when there are nulls, strings, or lists of other lengths."""
        types, array = self._arrow.types, column.combine_chunks()
        lengths: list[int] = []
        while types.is_list(array.type) or types.is_large_list(array.type) or types.is_fixed_size_list(array.type):
            if array.null_count:
                return None
            flat = array.flatten()
            if len(flat) % max(len(array), 1):
                return None
            length = len(flat) // max(len(array), 1)
            if not types.is_fixed_size_list(array.type) and not (np.diff(array.offsets.to_numpy()) == length).all():
                return None
            lengths.append(length)
            array = flat
        shape = columns.spec.shape[1:] if columns.is_whole else ()
        if tuple(lengths) not in (shape, (int(np.prod(shape)),) if shape else ()) or array.null_count:
            return None
        is_number = types.is_floating(array.type) or types.is_integer(array.type)
        return np.asarray(array.to_numpy(zero_copy_only=False)) if is_number else None

    def _values(self, columns: Columns, table: Any) -> list[Any]:
        values = [table.column(name).to_pylist() for name in columns.names]
        return values[0] if columns.is_whole else [list(row) for row in zip(*values, strict=True)]
