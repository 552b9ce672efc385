"""The answers of a part as a file: JSON lines, CSV or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from fairlead.batch.parquet_source import needs_pyarrow
from fairlead.servable.json_array import text_of
from fairlead.servable.scores import MEMBERS, best_class, class_scores, spoken
from fairlead.servable.signature import Array, Tensors

__all__ = ["ENCODERS", "Answers"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a version says to rows.

    Attributes:
        rows: their numbers in the input, int64 [n].
        labels: the classes' names; none when it is no classifier.
        outputs: the version's outputs, n rows each.
        files: the rows' files, where each row is one.
    """

    rows: NDArray[np.int64]
    labels: Sequence[str]
    outputs: Tensors
    files: Sequence[str] | None = None

    @property
    def scores(self) -> Array | None:
        """One probability a class for each row; None when the version is no classifier."""
        return class_scores(self.labels, self.outputs, len(self.rows))

    @property
    def members(self) -> list[dict[str, Any]]:
        """Who spoke for each row, of a graph's members; see `spoken`."""
        return spoken(self.outputs, len(self.rows))

    @property
    def heads(self) -> Iterator[dict[str, Any]]:
        """What says which row each is."""
        if self.files is None:
            return ({"row": row} for row in self.rows.tolist())
        return ({"row": row, "file": file} for row, file in zip(self.rows.tolist(), self.files, strict=True))


def _json_lines(answers: Answers) -> bytes:
    scores = answers.scores
    if scores is not None:
        said = (best_class(answers.labels, row) | who for row, who in zip(scores, answers.members, strict=True))
    else:
        texts = {name: _texts(array) for name, array in answers.outputs.items()}
        said = ({"outputs": {name: array[n] for name, array in texts.items()}} for n in range(len(answers.rows)))
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    file = io.BytesIO()  # lines kept until they are joined would take ten times the memory
    for head, row in zip(answers.heads, said, strict=True):
        file.write(orjson.dumps(head | row, option=options))
    return file.getvalue()


def _csv(answers: Answers) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["row"] if answers.files is None else ["row", "file"]
    scores = answers.scores
    if scores is not None:
        classes = (f"probabilities.{label}" for label in answers.labels)
        writer.writerow([*head, "label", "proba", *classes, *([MEMBERS] if MEMBERS in answers.outputs else [])])
        for which, row, who in zip(answers.heads, scores, answers.members, strict=True):
            numbers = _json(np.ascontiguousarray(row))[1:-1].split(",")
            best = int(row.argmax())
            writer.writerow([*which.values(), answers.labels[best], numbers[best], *numbers, *who.values()])
    else:
        writer.writerow([*head, *(f"outputs.{name}" for name in answers.outputs)])
        texts = [_texts(array) for array in answers.outputs.values()]
        for n, which in enumerate(answers.heads):
            cells = (array[n] for array in texts)
            writer.writerow([*which.values(), *(cell if isinstance(cell, str) else _json(cell) for cell in cells)])
    return file.getvalue().encode(errors="surrogateescape")


def _parquet(answers: Answers) -> bytes:
    arrow = needs_pyarrow("writing Parquet")
    columns: dict[str, Any] = {"row": answers.rows}
    if answers.files is not None:
        columns["file"] = arrow.array(answers.files, arrow.string())
    scores = answers.scores
    if scores is not None:
        best = scores.argmax(axis=1)
        columns["label"] = arrow.array(answers.labels, arrow.string()).take(arrow.array(best))
        columns["proba"] = scores[np.arange(len(scores)), best]
        columns |= {f"probabilities.{label}": scores[:, place] for place, label in enumerate(answers.labels)}
        if MEMBERS in answers.outputs:
            columns[MEMBERS] = arrow.array(_texts(answers.outputs[MEMBERS]).tolist(), arrow.string())
    else:
        columns |= {f"outputs.{name}": _arrow_column(arrow, array) for name, array in answers.outputs.items()}
    sink = arrow.BufferOutputStream()
    arrow.parquet.write_table(arrow.table(columns), sink)
    return bytes(sink.getvalue())


def _arrow_column(arrow: Any, array: Array) -> Any:
    """One value a row, or one list of all of a row's values."""
    texts = _texts(array)
    flat = (
        arrow.array(texts.ravel().tolist(), arrow.string()) if array.dtype.kind == "O" else arrow.array(texts.ravel())
    )
    return flat if array.ndim == 1 else arrow.FixedSizeListArray.from_arrays(flat, int(np.prod(array.shape[1:])))


def _texts(array: Array) -> Array:
    """The array, with strings as text; a string among JSON values has to be one of Python's."""
    if array.dtype.kind != "O":
        return np.ascontiguousarray(array)
    return np.array([text_of(value) for value in array.ravel()], object).reshape(array.shape)


def _json(value: Any) -> str:
    plain = value.tolist() if isinstance(value, np.ndarray) and value.dtype.kind == "O" else value
    return orjson.dumps(plain, option=orjson.OPT_SERIALIZE_NUMPY).decode()


ENCODERS: Mapping[str, Callable[[Answers], bytes]] = {"jsonl": _json_lines, "csv": _csv, "parquet": _parquet}
"""By the suffix of the files."""
