"""A batch from its first row to its last, wherever its parts are scored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fairlead.batch.columns import check_rows, row_size
from fairlead.batch.executor import Executor, Work
from fairlead.batch.output import Counts, Output
from fairlead.batch.parquet_source import ParquetSource, needs_pyarrow
from fairlead.batch.pictures import PictureSource
from fairlead.batch.source import Source
from fairlead.batch.text_source import CsvSource, JsonLinesSource
from fairlead.errors import Code, FairleadError
from fairlead.servable.manifest import Manifest

__all__ = ["SUFFIXES", "Job", "check_input"]

SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_PART_BYTES = 8 << 20
_MOST_ROWS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be done.

    Attributes:
        input: a file of a kind in `SUFFIXES`, or a folder of pictures.
        output: the directory that the answers go to.
        format: of the answers; None for the input's, and for pictures JSON lines.
        part_rows: how many rows a part has; None for some megabytes of inputs.
        max_rejects: how many rows may be rejected before the job fails; None for any number.
    """

    input: Path
    output: Path
    format: str | None = None
    part_rows: int | None = None
    max_rejects: int | None = None

    def run(self, manifest: Manifest, executor: Executor, on_part: Callable[[Counts], None]) -> Counts:
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
            work = Work(parts=partial(source.parts, size, output.parts()), manifest=manifest, suffix=suffix)
            counts = Counts()
            with closing(executor.run(work, output)) as parts:
                for part in parts:
                    counts = counts.plus(part)
                    on_part(counts)
                    self._check_rejects(counts)
            if source.identity() != identity:
                raise FairleadError(
                    Code.ABORTED, f"{self.input} changed while it was scored", hint="score it into another directory"
                )
            output.finish(counts)
        return counts

    def _check_rejects(self, counts: Counts) -> None:
        if self.max_rejects is not None and counts.rejected > self.max_rejects:
            raise FairleadError(
                Code.ABORTED,
                f"{counts.rejected:,} of {counts.rows:,} rows were rejected; at most {self.max_rejects:,} may be",
                hint=f"see {self.output}/*.rejects.jsonl; a larger --max-rejects goes on from here",
            )


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
